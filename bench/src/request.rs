//! A request of transfers as it travels: encoded by a client, decoded by a node.

use mizan_wire::frame::{Header, Request};
use mizan_wire::limits::HEADER_SIZE;
use mizan_wire::{Operation, Transfer};
use zerocopy::IntoBytes;

/// A request and its body.
pub struct Sealed {
    /// The header, with both checksums.
    pub header: [u8; HEADER_SIZE],
    /// The events.
    pub body: Vec<u8>,
}

/// The events of a request.
#[must_use]
pub fn body(event_count: u32) -> Vec<u8> {
    let events: Vec<Transfer> = (1..=event_count)
        .map(|id| Transfer { id: id.into(), amount: 1, ledger: 1, code: 1, ..Transfer::default() })
        .collect();
    events.as_bytes().to_vec()
}

/// Encodes a request around its body.
#[must_use]
pub fn encode(body: Vec<u8>) -> Sealed {
    let operation = Operation::CreateTransfers;
    let request = Request {
        operation: operation.number(),
        event_size: operation.event_size() as u16,
        event_count: (body.len() / operation.event_size()) as u32,
        request: 1,
        ..Request::default()
    };
    Sealed { header: request.seal(&body), body }
}

/// Decodes a request and checks all that a node checks before it takes one.
///
/// # Panics
/// If the request is damaged.
pub fn decode(sealed: &Sealed) -> Operation {
    let header = Header::parse(&sealed.header).expect("the header is sound");
    header.check_body(&sealed.body).expect("the body is sound");
    let Header::Request(request) = header else { panic!("a request was sealed") };
    request.check().expect("the request is sound")
}
