//! A primary that is only a state machine and a log in memory: it can say what no real one would.

use crate::fixture::{self, Cluster, SECRET, transfer};
use crate::said;
use crate::settle;
use mizan_journal::{FileStorage, Frame, Journal, OpenOptions, SharedHeader};
use mizan_node::cluster::{ClusterRecord, Policy};
use mizan_node::offline;
use mizan_node::status::Alarm;
use mizan_replica::constants::MESSAGE_SIZE_MAX;
use mizan_replica::message::HEADER_SIZE as MESSAGE_HEADER_SIZE;
use mizan_replica::{
    Command, Control, FrameEnd, LogIndex, LogRecords, Options, Output, Replica, Role,
};
use mizan_wire::{DigestRecord, Operation, RequestHeader, SEMANTICS_VERSION};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// See the module. It takes over the place of a node that is stopped, with what that one's files hold.
struct Impostor {
    replica: Replica,
    frames: Vec<(SharedHeader, Vec<u8>)>,
    cluster: u128,
    begun: Instant,
    /// The lie to tell once somebody follows.
    lie: Option<(RequestHeader, Vec<u8>)>,
}

impl Impostor {
    fn of(data: &std::path::Path, lie: (RequestHeader, Vec<u8>)) -> Self {
        let superblock = offline::superblock(data).unwrap();
        let record = ClusterRecord::decode("a test", &superblock.config).unwrap().unwrap();
        let mut log = LogIndex::default();
        let mut records = LogRecords::new(record.node, record.config);
        let mut frames: Vec<(SharedHeader, Vec<u8>)> = Vec::new();
        let mut commit = 0;
        let cluster = superblock.cluster;
        let mut visit = |frame: &Frame<'_>| {
            let header = SharedHeader {
                previous: frames.last().map_or([0; 16], |(head, body)| head.frame_hash(body)),
                cluster,
                epoch: frame.epoch,
                sequence: frame.sequence,
                count: frame.count,
                length: frame.payload.len() as u32,
                semantics_version: frame.semantics_version,
            };
            assert_eq!(header.frame_hash(frame.payload), frame.hash);
            let (epoch, sequence) = (frame.epoch, frame.last_sequence());
            log.push(FrameEnd { epoch, sequence, hash: frame.hash });
            records.push(epoch, sequence, Control::from_payload(frame.count, frame.payload));
            commit = commit.max(frame.commit);
            frames.push((header, frame.payload.to_vec()));
            Ok(())
        };
        let files = FileStorage::new(data);
        let (journal, _) = Journal::open(files, &OpenOptions::default(), &mut visit).unwrap();
        journal.close().unwrap();
        let replica = Replica::new(Options {
            index: record.node,
            cluster,
            secret: SECRET,
            incarnation: superblock.incarnation,
            starts: record.starts.next(5),
            process: 5,
            base_config: record.config,
            records,
            highest_epoch: superblock.highest_epoch,
            log,
            commit,
        });
        Self { replica, frames, cluster, begun: Instant::now(), lie: Some(lie) }
    }

    /// Time of the calls; it begins above zero.
    fn now_ns(&self) -> u64 {
        1 + u64::try_from(self.begun.elapsed().as_nanos()).unwrap()
    }

    fn append(&mut self, epoch: u64, payload: &[u8]) {
        let (last, body) = self.frames.last().unwrap();
        let header = SharedHeader {
            previous: last.frame_hash(body),
            cluster: self.cluster,
            epoch,
            sequence: last.last_sequence() + 1,
            count: 1,
            length: payload.len() as u32,
            semantics_version: SEMANTICS_VERSION,
        };
        let (sequence, hash) = (header.sequence, header.frame_hash(payload));
        self.frames.push((header, payload.to_vec()));
        let control = Control::from_payload(1, payload);
        self.replica.handle_appended(FrameEnd { epoch, sequence, hash }, control);
        self.replica.handle_durable(0, sequence, self.now_ns());
    }

    /// Frames behind a sequence, as they are sent.
    fn read_after(&self, after: u64) -> Vec<u8> {
        let behind = self.frames.iter().filter(|(header, _)| header.sequence > after);
        behind.flat_map(|(header, body)| [&header.encode()[..], body].concat()).collect()
    }

    fn carry_out(&mut self, stream: &mut TcpStream) {
        while let Some(output) = self.replica.poll_output() {
            match output {
                // Whoever has stopped reads no more.
                Output::Send { bytes, .. } => drop(stream.write_all(&bytes)),
                Output::ReadFrames { peer, after, .. } => {
                    let frames = self.read_after(after);
                    self.replica.handle_frames_read(peer, after, &frames);
                }
                Output::AppendControl { control, epoch } => {
                    self.append(epoch, control.entry(1).as_bytes());
                }
                _ => {}
            }
        }
    }

    /// Leads whoever dials, and tells the lie.
    fn lead(mut self, listener: &TcpListener, is_over: &AtomicBool) {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let identity = self.replica.identity();
        let greeting = identity.greeting([5; 32]);
        stream.write_all(&greeting.encode()).unwrap();
        let mut inbox = Vec::new();
        let hello = loop {
            if let Some(hello) = next_message(&mut stream, &mut inbox) {
                break hello;
            }
            assert!(!is_over.load(Ordering::Acquire), "nobody said hello");
        };
        let (session, answer) = identity.answer(&greeting, &hello).unwrap();
        let peer = session.peer();
        stream.write_all(&answer).unwrap();
        self.replica.handle_connected(session, self.now_ns());
        let log_timestamp = None;
        let promote = Command::Promote { solo: false, accept_loss_after: None, log_timestamp };
        self.replica.handle_admin(promote, self.now_ns()).unwrap();
        while !is_over.load(Ordering::Acquire) {
            if let Some(message) = next_message(&mut stream, &mut inbox) {
                let now_ns = self.now_ns();
                let _ = self.replica.handle_message(peer, &message, now_ns);
            }
            self.carry_out(&mut stream);
            self.replica.handle_tick(self.now_ns());
            self.carry_out(&mut stream);
            if let Role::Primary(epoch) = self.replica.status().role
                && self.replica.peer_status(peer).is_following
                && let Some((header, body)) = self.lie.take()
            {
                let mut entry = [header.as_bytes(), &body].concat();
                entry.resize(header.entry_size(), 0);
                self.append(epoch, &entry);
            }
        }
    }
}

/// A whole message, if one is there within a moment.
fn next_message(stream: &mut TcpStream, inbox: &mut Vec<u8>) -> Option<Vec<u8>> {
    let size = inbox.get(36..40).map(|size| u32::from_le_bytes(size.try_into().unwrap()) as usize);
    if let Some(size) = size.filter(|size| inbox.len() >= *size) {
        assert!((MESSAGE_HEADER_SIZE..=MESSAGE_SIZE_MAX).contains(&size));
        return Some(inbox.drain(..size).collect());
    }
    let mut chunk = [0; 64 << 10];
    match stream.read(&mut chunk) {
        Ok(count) => inbox.extend_from_slice(&chunk[..count]),
        Err(error) => assert!(
            matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionReset
            ),
            "{error}"
        ),
    }
    None
}

#[test]
fn a_standby_whose_state_is_not_the_primarys_stops_with_an_alarm() {
    said::listen();
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &crate::promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    (1..=20).for_each(|id| assert!(transfer(&mut client, id)));
    drop(client);
    settle(&cluster, 0);
    cluster.stop_all();

    // A digest that is due, and is not the one of this state.
    let at_sequence = 16;
    let body = DigestRecord { digest: 7, at_sequence, reserved: 0 }.as_bytes().to_vec();
    let mut header = RequestHeader {
        operation: Operation::Digest.number(),
        body_size: body.len() as u32,
        clock_reading: 1,
        ..RequestHeader::default()
    };
    header.request_checksum = header.identity(&body);
    let impostor = Impostor::of(&cluster.data(0), (header, body));
    let listener = TcpListener::bind(cluster.node_address(0)).unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let thread = {
        let is_over = Arc::clone(&is_over);
        std::thread::spawn(move || impostor.lead(&listener, &is_over))
    };
    cluster.restart(1);
    crate::alarms::assert_stopped(&mut cluster, 1, Alarm::StateDiffers);
    is_over.store(true, Ordering::Release);
    thread.join().unwrap();
    cluster.restart(0);
    cluster.promote(0, &crate::promote(true));
    crate::alarms::assert_mended(&mut cluster, 1, Alarm::StateDiffers);
}
