//! The bytes of every message, as the reference page draws them; a change here is another protocol version.

use mizan_replica::message::{HEADER_SIZE, Header, Message, PeerRole, decode};
use mizan_replica::{FrameEnd, MessageError};

const HEADER: Header = Header { cluster: 0x0102, epoch: 0x33, counter: 0x44, from: 1, to: 2 };
const END: FrameEnd = FrameEnd { epoch: 5, sequence: 6, hash: [7; 16] };

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn word(value: u64) -> String {
    hex(&value.to_le_bytes())
}

fn end() -> String {
    word(5) + &word(6) + &"07".repeat(16)
}

fn messages() -> Vec<(u8, Message<'static>, String)> {
    vec![
        (
            1,
            Message::Hello { nonce: [9; 32], incarnation: 3, node_count: 2 },
            "09".repeat(32) + &word(3) + &word(2),
        ),
        (
            2,
            Message::Heartbeat {
                role: PeerRole::Primary,
                round: 8,
                commit: 9,
                end: END,
                clock_reading: 10,
            },
            word(2) + &word(8) + &word(9) + &end() + &word(10),
        ),
        (
            3,
            Message::Ack { received: 4, durable: 3, applied: 2, round: 1 },
            word(4) + &word(3) + &word(2) + &word(1),
        ),
        (4, Message::Locate { ends: vec![END] }, end()),
        (5, Message::StreamStart { after: END }, end()),
        (
            6,
            Message::Frames { commit: 1, source_end: 2, frames: b"xyz" },
            word(1) + &word(2) + "78797a",
        ),
        (7, Message::GrantRequest { end: END }, end()),
        (
            8,
            Message::Grant { granted: true, is_admitted: false, epoch: 4, end: END, commit: 2 },
            word(1) + &word(0) + &word(4) + &end() + &word(2),
        ),
        (9, Message::Ask { epoch: 4, end: END }, word(4) + &end()),
        (
            10,
            Message::Answer {
                would_grant: true,
                is_admitted: false,
                epoch: 4,
                end: END,
                primary_silent_ns: 2,
            },
            word(1) + &word(0) + &word(4) + &end() + &word(2),
        ),
    ]
}

#[test]
fn every_message_has_the_bytes_that_are_drawn() {
    for (kind, message, body) in messages() {
        let bytes = message.encode(&HEADER);
        let size = (HEADER_SIZE + body.len() / 2) as u32;
        let expected = "00".repeat(32)
            + "4d5a5231"
            + &hex(&size.to_le_bytes())
            + &hex(&[kind, 2, 1, 2, 0, 0, 0, 0])
            + &hex(&0x0102u128.to_le_bytes())
            + &word(0x33)
            + &word(0x44)
            + &body;
        assert_eq!(hex(&bytes), expected, "kind {kind}");
        assert_eq!(decode(&bytes), Ok((HEADER, message)));
    }
}

#[test]
fn the_hash_of_a_secret_is_the_one_that_is_drawn() {
    let text = [b"mizan cluster secret 1".as_slice(), &5u128.to_le_bytes()].concat();
    let hash = mizan_replica::secret_hash(5, &[7; 32]);
    assert_eq!(hash, *blake3::keyed_hash(&[7; 32], &text).as_bytes());
}

#[test]
fn a_message_of_any_other_length_or_version_is_refused() {
    for (kind, message, _) in messages() {
        let bytes = message.encode(&HEADER);
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]), Err(MessageError::Malformed), "kind {kind}");
        }
        let mut newer = bytes.clone();
        newer[41] = 3;
        assert_eq!(decode(&newer), Err(MessageError::Version(3)));
        let mut unknown = bytes;
        unknown[40] = 99;
        assert_eq!(decode(&unknown), Err(MessageError::Malformed));
    }
}

#[test]
fn arbitrary_bytes_never_panic() {
    let seed = 11;
    let mut random = mizan_journal::sim::SimRandom::new(seed);
    for _ in 0..20_000 {
        let (_, message, _) = messages().swap_remove(random.below(10) as usize);
        let mut bytes = message.encode(&HEADER);
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = random.next_u64() as u8;
        }
        // What decodes encodes to the same bytes, but for the authentication code.
        if let Ok((header, message)) = decode(&bytes) {
            assert_eq!(message.encode(&header)[32..], bytes[32..], "seed {seed}");
        }
    }
}
