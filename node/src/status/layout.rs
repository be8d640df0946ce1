//! The words of the board, which are the words of the file `counters`.
//!
//! Invariants: a word keeps its place and its meaning within a version; a word that has none is zero. The page
//! `docs/reference/counters.md` draws the same table, and a test compares the two.

/// Version of the layout.
pub const COUNTERS_VERSION: u64 = 1;
/// Words of the board: one page of memory.
pub const COUNTERS_WORDS: usize = 512;
/// The first word.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"MIZCOUNT");

/// Statuses of requests are counted in a row that begins with this number.
pub(crate) const REFUSAL_FIRST: u32 = 1_000;
/// Words of that row.
pub(crate) const REFUSALS: usize = 64;
/// Other nodes of a cluster.
pub(crate) const PEERS: usize = 2;
/// Words of a peer.
pub(crate) const PEER_WORDS: usize = 16;

macro_rules! words {
    ($($name:ident $index:literal $label:literal $meaning:literal;)*) => {
        /// Where each word is.
        pub(crate) mod word {
            $(#[doc = $meaning] pub(crate) const $name: usize = $index;)*
        }

        /// Place, name and meaning of every word, in the order of their places.
        #[cfg(test)]
        pub(crate) const WORDS: &[(usize, &str, &str)] = &[$(($index, $label, $meaning),)*];
    };
}

words! {
    MAGIC 0 "magic" "the bytes MIZCOUNT";
    VERSION 1 "version" "1";
    SIZE 2 "size" "words of the file: 512";
    BEGUN 3 "begun" "number of the update that was begun last";
    DONE 4 "done" "number of the update that was finished last";
    PHASE 5 "phase" "1 recovering, 2 opened, 3 running, 4 stopping, 5 stopped in order, 6 failed";
    PROCESS 6 "process" "id of the process";

    CLUSTER_LOW 8 "cluster_low" "the cluster's number, lower half";
    CLUSTER_HIGH 9 "cluster_high" "the cluster's number, upper half";
    NODE 10 "node" "the node's number in its superblock";
    INCARNATION 11 "incarnation" "incarnation of the node's disk";
    BOOT_LOW 12 "boot_low" "id of the machine's boot, lower half: monotonic times of another boot mean nothing";
    BOOT_HIGH 13 "boot_high" "id of the machine's boot, upper half";
    STARTED_AT 14 "started_at_ns" "when the process began with the directory, nanoseconds since 1970";
    STARTED_MONOTONIC 15 "started_monotonic_ns" "the same by the monotonic clock (CLOCK_BOOTTIME)";
    LAYOUT 16 "layout" "1 fused, 2 split";
    NODE_ALARMS 17 "node_alarms" "bits of alarms that the node raised";
    WATCH_ALARMS 18 "watch_alarms" "bits of alarms that follow from the figures: what is nearly full, damage that the scrubber found, a disk that hangs";

    BEATS 24 "beats" "rounds counted by the front at a low rate, or steps of a recovery";
    BEAT_MONOTONIC 25 "beat_monotonic_ns" "the last one by the monotonic clock";
    BEAT_REALTIME 26 "beat_realtime_ns" "the last one, nanoseconds since 1970";
    COPIES 27 "copies" "copies of the board to the file";
    COPIED_MONOTONIC 28 "copied_monotonic_ns" "the last copy by the monotonic clock";

    ROLE 32 "role" "1 single, 2 primary, 3 live standby, 4 standby that catches up, 5 waiting, 6 candidate, 7 stopped";
    EPOCH 33 "epoch" "the epoch, for a standby the highest that it has seen";
    PUBLISHED 34 "sequence_published" "last entry with a place in the order";
    APPENDED 35 "sequence_appended" "last entry written to the journal, synced or not";
    DURABLE 36 "sequence_durable" "last entry that is durable here";
    APPLIED 37 "sequence_applied" "last entry applied by the engine";
    COMMIT 38 "sequence_commit" "last entry whose reply was released, for a standby the last known to be committed";
    RING_USED 39 "ring_used" "cells of the request ring in use";
    RING_SIZE 40 "ring_size" "cells of the request ring";
    OUTPUTS_USED 41 "output_ring_used" "cells of the output ring in use";
    OUTPUTS_SIZE 42 "output_ring_size" "cells of the output ring";
    GROUPS 43 "groups" "groups written, each with one sync";
    GROUPS_INLINE 44 "groups_inline" "of these, groups that the front's thread wrote";
    SYNC_NS 45 "sync_ns" "nanoseconds spent in syncs of groups, in all";
    SPACE_LOW 46 "journal_space_low" "1 while writes are refused for want of room";
    STALLED 47 "journal_stalled" "1 while accepted entries wait for room";
    CLOCK_JUMPS 48 "clock_jumps" "how often the wall clock began to be held back";
    CLOCK_HELD 49 "clock_held_back" "1 while it is held back";
    DIGEST_SEQUENCE 50 "digest_sequence" "sequence of the last digest that fell due and was committed";
    DIGEST_LOW 51 "digest_low" "that digest, lower half";
    DIGEST_HIGH 52 "digest_high" "that digest, upper half";
    RECOVERY_DONE 53 "recovery_bytes_done" "bytes of the journal read at start";
    RECOVERY_TOTAL 54 "recovery_bytes_total" "bytes to be read at start";
    DISK_FREE 55 "disk_free_bytes" "free for the process on the file system of the directory";
    DISK_TOTAL 56 "disk_total_bytes" "size of that file system without what is reserved for others";
    SCRUB_BYTES 57 "scrub_bytes" "bytes of sealed segments read by the scrubber";
    SCRUB_PASSES 58 "scrub_passes" "passes of the scrubber over all sealed segments";
    SCRUB_DAMAGED 59 "scrub_damaged" "segments in which its last look found damage";
    SCRUB_PASS_AT 60 "scrub_pass_at_ns" "when its last pass ended, nanoseconds since 1970";
    WAITS_SINCE 61 "journal_waits_since_ns" "since when entries wait for the disk and none became durable, by the monotonic clock; 0: none waits";

    CONNECTIONS 64 "connections" "client connections now";
    ACCEPTED 65 "connections_accepted" "connections accepted";
    ACCEPT_FAILURES 66 "accept_failures" "connections lost for want of a descriptor or a watch";
    HELLOS 67 "hellos" "hellos that came through";
    TAKEN_OVER 68 "sessions_taken_over" "sessions that moved to a newer connection";
    REQUESTS 69 "requests" "requests that got a place in the ring";
    REQUESTS_REFUSED 70 "requests_refused" "requests refused before that";
    REPLIES 71 "replies" "replies sent on their way";
    REPLIES_DROPPED 72 "replies_dropped" "replies whose connection was gone";
    IN_FLIGHT 73 "requests_in_flight" "requests accepted and not yet answered";
    UNSENT_BYTES 74 "unsent_bytes" "bytes of replies that wait for sockets";
    BYTES_IN 75 "bytes_in" "bytes read from sockets";
    BYTES_OUT 76 "bytes_out" "bytes written to sockets";
    CUT_OFF_PARTIAL 77 "cut_off_partial" "connections cut off because a request stayed incomplete";
    CUT_OFF_SLOW 78 "cut_off_slow" "connections cut off because replies were not read";
    FRAME_ERRORS 79 "frame_errors" "connections ended for a malformed frame";

    ACCOUNTS 96 "accounts" "accounts";
    ACCOUNTS_MAX 97 "accounts_max" "accounts that fit";
    TRANSFERS 98 "transfers" "transfers, spent ids, and a place for the end of each open hold";
    TRANSFERS_MAX 99 "transfers_max" "of these, that fit";
    HOLDS 100 "holds" "open holds";
    HOLDS_MAX 101 "holds_max" "open holds that fit";
    SESSIONS 102 "sessions" "sessions";
    SESSIONS_MAX 103 "sessions_max" "sessions that fit";
    LEDGERS 104 "ledgers" "ledgers";
    LEDGERS_MAX 105 "ledgers_max" "ledgers that fit";
    ENGINE_TIMESTAMP 106 "engine_timestamp_ns" "the engine's last timestamp, nanoseconds since 1970";
    INSTRUMENTS 107 "instruments" "instruments";
    INSTRUMENTS_MAX 108 "instruments_max" "instruments that fit; 0, as what follows, on a node without trading";
    ORDERS 109 "orders" "orders that are remembered";
    ORDERS_MAX 110 "orders_max" "orders that can be remembered";
    OPEN_ORDERS 111 "open_orders" "open orders for which books have taken room";
    OPEN_ORDERS_MAX 112 "open_orders_max" "open orders that fit";
    BOOK_LEVELS 113 "book_levels" "price levels for which books have taken room";
    BOOK_LEVELS_MAX 114 "book_levels_max" "price levels that fit";

    REFUSED 128 "refused" "64 words: what was refused or ended with the statuses 1000 to 1063";

    CLUSTER_UPDATES 192 "cluster_updates" "how often the figures of the cluster were stored";
    NODE_INDEX 193 "node_index" "this node's place in the cluster, from 0";
    NODE_COUNT 194 "node_count" "nodes of the cluster; 0 for a single node";
    MIN_SYNC 195 "min_sync" "durable copies that an acknowledgement needs now";
    MIN_SYNC_BASE 196 "min_sync_base" "durable copies that it is to need again";
    POLICY 197 "policy" "1 disk, 3 two-disks; 0 for a single node";
    CONFIG_REVISION 198 "config_revision" "number of the config record";
    ADMITTED 199 "admitted" "1 if this node's disk is one that counts";
    CAN_TAKE_OVER 200 "can_take_over" "1 if this standby may be promoted without losing anything";
    PRIMARY 201 "primary" "place of the primary plus 1; 0 for none known";
    PRIMARY_SEQUENCE 202 "primary_sequence" "last entry of the primary's log, as far as known here";
    CLUSTER_ALARMS 203 "cluster_alarms" "bits of alarms that the cluster's part raised";
    LOG_READ_BYTES 204 "log_read_bytes" "bytes read from the own log for other nodes";
    LOG_SENT_BYTES 205 "log_sent_bytes" "bytes of log that came of it, each as often as it was read for a node";
    READ_ROUNDS 206 "read_rounds" "rounds begun to confirm reads";
    LOG_READ_FAILURES 207 "log_read_failures" "reads of the log for other nodes that found no intact frame";

    PEER 224 "peer" "two times 16 words, one for each other node, see below";
}

/// Words within a peer's 16.
pub(crate) mod peer {
    /// Its place in the cluster plus 1; 0 for no peer.
    pub(crate) const NODE: usize = 0;
    /// 1 while connected.
    pub(crate) const CONNECTED: usize = 1;
    /// 1 if its disk is one that counts.
    pub(crate) const ADMITTED: usize = 2;
    /// 1 while its copies count for acknowledgements and it has all that is committed.
    pub(crate) const IN_SYNC: usize = 3;
    /// Last entry that it has received.
    pub(crate) const RECEIVED: usize = 4;
    /// Last entry that is durable there.
    pub(crate) const DURABLE: usize = 5;
    /// Last entry that it has applied.
    pub(crate) const APPLIED: usize = 6;
    /// Bytes of log that it has not received.
    pub(crate) const LAG_BYTES: usize = 7;
    /// When it was last heard, by the monotonic clock; 0 for never.
    pub(crate) const HEARD: usize = 8;
    /// Connections made with it.
    pub(crate) const CONNECTS: usize = 9;
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../docs/reference/counters.md");

    /// Rows of the page's tables: offset in bytes, name, meaning.
    fn rows() -> Vec<(usize, String, String)> {
        PAGE.lines()
            .filter_map(|line| {
                let cells: Vec<&str> = line.split('|').map(str::trim).collect();
                let [_, offset, name, meaning, _] = cells[..] else { return None };
                let name = name.strip_prefix('`')?.strip_suffix('`')?;
                Some((offset.parse().ok()?, name.to_owned(), meaning.to_owned()))
            })
            .collect()
    }

    #[test]
    fn the_page_draws_every_word_where_it_is() {
        let table: Vec<_> = WORDS
            .iter()
            .map(|(index, name, meaning)| (index * 8, (*name).to_owned(), (*meaning).to_owned()))
            .collect();
        let drawn: Vec<_> = rows().into_iter().take(table.len()).collect();
        for (expected, found) in table.iter().zip(&drawn) {
            assert_eq!(found, expected);
        }
        assert_eq!(drawn.len(), table.len());
    }

    #[test]
    fn words_ascend_and_rows_of_words_do_not_overlap_what_follows() {
        assert!(WORDS.is_sorted_by(|one, next| one.0 < next.0));
        const { assert!(word::REFUSED + REFUSALS <= word::CLUSTER_UPDATES) };
        const { assert!(word::PEER + PEERS * PEER_WORDS <= COUNTERS_WORDS) };
    }
}
