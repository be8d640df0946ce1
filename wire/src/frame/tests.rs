//! Golden bytes of every kind of frame, and the order of the header's checks.

use super::*;
use proptest::prelude::*;

fn request() -> Request {
    Request {
        request: 7,
        session: 3,
        replies_received: 5,
        min_sequence: 0,
        operation: Operation::LookupAccounts.number(),
        event_size: 16,
        event_count: 2,
        release: 0x0001_0000,
        ..Request::default()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_request_has_these_very_bytes() {
    let body = [9u8; 32];
    let bytes = request().seal(&body);
    assert_eq!(
        hex(&bytes),
        "7900d95e000000000000000000000000\
         46c00d0d000000000000000000000000\
         4d5a4e31a00000000301000000000000\
         07000000000000000300000000000000\
         05000000000000000000000000000000\
         8c000000000000001000000002000000\
         00000100000000000000000000000000\
         00000000000000000000000000000000"
    );
}

#[test]
fn a_reply_has_these_very_bytes() {
    let reply = Reply {
        request: 7,
        sequence: 0x0102,
        epoch: 1,
        timestamp: 0x0304,
        commit: 0x0102,
        operation: Operation::CreateTransfers.number(),
        result_size: 16,
        result_count: 0,
        event_count: 8189,
        status: 0,
        flags: REPLY_COMPACT | REPLY_REPLAYED,
        copies_durable: 1,
        ..Reply::default()
    };
    assert_eq!(
        hex(&reply.seal(&[])),
        "243ad20d000000000000000000000000\
         00000000000000000000000000000000\
         4d5a4e31800000000401000000000000\
         07000000000000000201000000000000\
         01000000000000000403000000000000\
         02010000000000009300100000000000\
         fd1f0000000000000300000001000000\
         00000000000000000000000000000000"
    );
}

#[test]
fn a_sealed_frame_is_read_back() {
    let body = [1u8; 32];
    let bytes = request().seal(&body);
    let header = Header::parse(&bytes).unwrap();
    assert_eq!(header.body_size(), 32);
    assert_eq!(header.check_body(&body), Ok(()));
    assert_eq!(header.check_body(&[2; 32]), Err(RequestStatus::BodyChecksumMismatch));
    let Header::Request(read) = header else { panic!("another kind") };
    assert_eq!(read.check(), Ok(Operation::LookupAccounts));
}

fn resealed(change: impl FnOnce(&mut Request)) -> Result<Header, RequestStatus> {
    let mut frame: Request = read(&request().seal(&[0; 32]));
    change(&mut frame);
    frame.prefix.checksum = frame_checksum(&frame.as_bytes()[16..]);
    let mut bytes = [0; HEADER_SIZE];
    bytes.copy_from_slice(frame.as_bytes());
    Header::parse(&bytes)
}

#[test]
fn header_checks_answer_with_their_own_status() {
    let status = |result: Result<Header, RequestStatus>| result.err().unwrap();
    assert_eq!(status(resealed(|f| f.prefix.magic = 1)), RequestStatus::BadMagic);
    assert_eq!(status(resealed(|f| f.prefix.protocol = 2)), RequestStatus::ProtocolUnsupported);
    assert_eq!(status(resealed(|f| f.prefix.size = 127)), RequestStatus::FrameSizeInvalid);
    assert_eq!(status(resealed(|f| f.prefix.size = u32::MAX)), RequestStatus::FrameSizeInvalid);
    assert_eq!(status(resealed(|f| f.prefix.kind = 99)), RequestStatus::FrameKindUnknown);
    assert_eq!(status(resealed(|f| f.prefix.reserved[5] = 1)), RequestStatus::ReservedNotZero);
    assert_eq!(status(resealed(|f| f.reserved_3[27] = 1)), RequestStatus::ReservedNotZero);
    let mut bytes = request().seal(&[]);
    bytes[50] ^= 1;
    assert_eq!(Header::parse(&bytes).err(), Some(RequestStatus::HeaderChecksumMismatch));
}

#[test]
fn request_checks_answer_with_their_own_status() {
    let check = |change: fn(&mut Request)| match resealed(change) {
        Ok(Header::Request(frame)) => frame.check().err(),
        _ => panic!("the header itself is sound"),
    };
    assert_eq!(check(|f| f.operation = 9), Some(RequestStatus::OperationUnknown));
    assert_eq!(check(|f| f.operation = 512), Some(RequestStatus::OperationUnknown));
    assert_eq!(check(|f| f.event_size = 17), Some(RequestStatus::EventSizeInvalid));
    assert_eq!(check(|f| f.event_version = 1), Some(RequestStatus::EventSizeInvalid));
    assert_eq!(check(|f| f.event_count = 0), Some(RequestStatus::EventCountInvalid));
    assert_eq!(check(|f| f.event_count = 8190), Some(RequestStatus::EventCountInvalid));
    assert_eq!(check(|f| f.event_count = 3), Some(RequestStatus::BodySizeInvalid));
    assert_eq!(check(|f| f.flags = 1), Some(RequestStatus::RequestFlagsInvalid));
    assert_eq!(check(|_| ()), None);
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_but_never_panic(bytes: [u8; 32], kind: u8, size: u32, sealed: bool) {
        let mut header = [0u8; HEADER_SIZE];
        for (index, byte) in header.iter_mut().enumerate() {
            *byte = bytes[index % 32];
        }
        if sealed {
            header[32..36].copy_from_slice(b"MZN1");
            header[36..40].copy_from_slice(&size.to_le_bytes());
            header[40] = kind;
            header[41] = PROTOCOL;
            let sum = frame_checksum(&header[16..]);
            header[..16].copy_from_slice(&sum.to_le_bytes());
        }
        if let Ok(Header::Request(frame)) = Header::parse(&header) {
            let _ = frame.check();
        }
    }
}
