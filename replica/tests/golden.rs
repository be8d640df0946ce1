//! The bytes of every message, as the reference page draws them; a change here is another protocol version.

use mizan_replica::handshake::{Greeting, Identity};
use mizan_replica::message::{HEADER_SIZE, Header, Message, PeerRole, decode};
use mizan_replica::{Copied, FrameEnd, KnownStart, MessageError, Start};

const HEADER: Header = Header { cluster: 0x0102, epoch: 0x33, counter: 0x44, from: 1, to: 2 };
const START: Start = Start { number: 21, nonce: 22 };
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
            Message::Hello {
                nonce: [9; 32],
                incarnation: 3,
                node_count: 2,
                start: START,
                process: 23,
            },
            "09".repeat(32) + &word(3) + &word(2) + &word(21) + &word(22) + &word(23),
        ),
        (
            2,
            Message::Heartbeat {
                role: PeerRole::Primary,
                round: 8,
                commit: 9,
                end: END,
                clock_reading: 10,
                starts: [31, 41, 51].map(|incarnation| KnownStart { incarnation, start: START }),
            },
            word(2)
                + &word(8)
                + &word(9)
                + &end()
                + &word(10)
                + &[31, 41, 51].map(|disk| word(disk) + &word(21) + &word(22)).concat(),
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
                is_damaged: true,
                epoch: 4,
                end: END,
                primary_silent_ns: 2,
            },
            word(1) + &word(0) + &word(1) + &word(4) + &end() + &word(2),
        ),
        (
            15,
            Message::Refused { copied: Copied::Older { known: 7, found: 6 } },
            word(1) + &word(7) + &word(6),
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
        let (_, message, _) = messages().swap_remove(random.below(11) as usize);
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

const GREETING: Greeting = Greeting { cluster: 0x0102, index: 1, nonce: [8; 32] };

fn identity(index: u8) -> Identity {
    let (cluster, node_count, incarnation) = (0x0102, 3, 6);
    Identity { cluster, index, node_count, incarnation, start: START, process: 23, secret: [7; 32] }
}

/// A message with its code: over these parts and itself.
fn sealed(key: [u8; 32], parts: &[&[u8]], mut bytes: Vec<u8>) -> Vec<u8> {
    let covered = [&parts.concat(), &bytes[32..]].concat();
    bytes[..32].copy_from_slice(blake3::keyed_hash(&key, &covered).as_bytes());
    bytes
}

#[test]
fn greeting_hello_and_answer_have_the_bytes_that_are_drawn_and_make_the_key() {
    let greeting = GREETING.encode();
    let drawn = "4d5a4731".to_owned()
        + "02010000"
        + &hex(&0x0102u128.to_le_bytes())
        + &word(0)
        + &"08".repeat(32);
    assert_eq!(hex(&greeting), drawn);
    assert_eq!(Greeting::decode(&greeting), Ok(GREETING));

    let message = |from, to, nonce| {
        let header = Header { cluster: 0x0102, epoch: 0, counter: 0, from, to };
        let (incarnation, node_count, start, process) = (6, 3, START, 23);
        Message::Hello { nonce, incarnation, node_count, start, process }.encode(&header)
    };
    let (dialled, hello) = identity(2).dial(1, &GREETING, [9; 32]).unwrap();
    let secret = [7; 32];
    let expected = sealed(secret, &[b"mizan hello 2", &greeting], message(2, 1, [9; 32]));
    assert_eq!(hello, expected);
    let (accepted, answer) = identity(1).answer(&GREETING, &hello).unwrap();
    let parts: [&[u8]; 3] = [b"mizan answer 2", &greeting, &hello];
    assert_eq!(answer, sealed(secret, &parts, message(1, 2, [8; 32])));
    let session = dialled.conclude(&answer).unwrap();
    assert_eq!((session.peer(), accepted.peer()), (1, 2));

    let parts: [&[u8]; 4] = [b"mizan replication connection 2", &greeting, &hello, &answer];
    let key = *blake3::keyed_hash(&secret, &parts.concat()).as_bytes();
    let header = Header { cluster: 0x0102, epoch: 3, counter: 1, from: 2, to: 1 };
    let first = sealed(key, &[], Message::Locate { ends: vec![END] }.encode(&header));
    assert!(accepted.is_proved_by(&first));
    let second = Header { counter: 2, ..header };
    let second = sealed(key, &[], Message::Locate { ends: vec![END] }.encode(&second));
    assert!(!accepted.is_proved_by(&second), "not the first");
    assert!(!accepted.is_proved_by(&hello), "a recorded hello");
    for at in 0..first.len() {
        let mut changed = first.clone();
        changed[at] ^= 1;
        assert!(!accepted.is_proved_by(&changed), "byte {at}");
    }
}

#[test]
fn a_hello_is_for_one_greeting_of_one_node_and_proves_nothing_anywhere_else() {
    let (dialled, hello) = identity(2).dial(1, &GREETING, [9; 32]).unwrap();
    let later = Greeting { nonce: [10; 32], ..GREETING };
    let refused = |listener: Identity, greeting: &Greeting, bytes: &[u8]| {
        listener.answer(greeting, bytes).err()
    };
    let forged = Some(MessageError::Forged);
    assert_eq!(refused(identity(1), &later, &hello), forged, "a recording");
    assert_eq!(refused(identity(0), &Greeting { index: 0, ..GREETING }, &hello), forged);
    let stranger = Identity { secret: [1; 32], ..identity(1) };
    assert_eq!(refused(stranger, &GREETING, &hello), forged, "another secret");
    for at in 0..hello.len() {
        let mut changed = hello.clone();
        changed[at] ^= 1;
        assert!(refused(identity(1), &GREETING, &changed).is_some(), "byte {at}");
        assert!(refused(identity(1), &GREETING, &hello[..at]).is_some(), "cut {at}");
    }
    // An answer of another connection, one's own hello thrown back, and an answer with a changed byte.
    let (_, answer) = identity(1).answer(&GREETING, &hello).unwrap();
    let (other, _) = identity(2).dial(1, &GREETING, [11; 32]).unwrap();
    assert_eq!(other.conclude(&answer).err(), forged);
    assert_eq!(dialled.conclude(&hello).err(), forged);
    for at in 0..answer.len() {
        let mut changed = answer.clone();
        changed[at] ^= 1;
        assert!(dialled.conclude(&changed).is_err(), "byte {at}");
    }
    // Who greets as somebody else is told nothing.
    let outcome = identity(2).dial(0, &GREETING, [9; 32]);
    assert_eq!(outcome.err(), Some(MessageError::Address));
    let foreign = Greeting { cluster: 9, ..GREETING };
    assert_eq!(identity(2).dial(1, &foreign, [9; 32]).err(), Some(MessageError::Cluster));
    let mut newer = GREETING.encode();
    newer[4] = 3;
    assert_eq!(Greeting::decode(&newer), Err(MessageError::Version(3)));
    for at in [0, 6, 7, 24, 31] {
        let mut changed = GREETING.encode();
        changed[at] ^= 1;
        assert_eq!(Greeting::decode(&changed), Err(MessageError::Malformed), "byte {at}");
    }
}

#[test]
fn a_hello_says_how_many_nodes_there_are_and_is_from_one_of_them() {
    let dial = |who: Identity| who.dial(1, &GREETING, [9; 32]).unwrap().1;
    for who in [Identity { node_count: 2, ..identity(2) }, Identity { index: 7, ..identity(2) }] {
        let outcome = identity(1).answer(&GREETING, &dial(who));
        assert_eq!(outcome.err(), Some(MessageError::Address), "node {}", who.index);
    }
}
