//! Results of creates: the full form that users see, and the compact form that is stored and sent.

use crate::CREATED;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What became of one event.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CreateResult {
    /// The event's own number (nanoseconds since 1970), or the stored record's timestamp for `exists`.
    pub timestamp: u64,
    /// [`CREATED`] or a status number.
    pub status: u32,
    /// Zero.
    pub reserved: u32,
}

/// A result that cannot be derived from the reply's timestamp: any but "created at its own number".
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ResultException {
    /// As in [`CreateResult`].
    pub timestamp: u64,
    /// Position of the event in its request, from 0.
    pub index: u32,
    /// As in [`CreateResult`].
    pub status: u32,
}

const _: () = {
    assert!(size_of::<CreateResult>() == 16);
    assert!(size_of::<ResultException>() == 16);
};

/// Turns a compact reply into one result per event, in order.
///
/// `timestamp_last` is the number of the last event. Exceptions with an index outside the request are ignored: a
/// client must survive any server.
#[must_use]
pub fn expand_results(
    timestamp_last: u64,
    event_count: u32,
    exceptions: &[ResultException],
) -> Vec<CreateResult> {
    let first = timestamp_last.wrapping_sub(u64::from(event_count)).wrapping_add(1);
    let mut results: Vec<CreateResult> = (0..u64::from(event_count))
        .map(|index| CreateResult {
            timestamp: first.wrapping_add(index),
            status: CREATED,
            reserved: 0,
        })
        .collect();
    for exception in exceptions {
        if let Some(result) = results.get_mut(exception.index as usize) {
            result.timestamp = exception.timestamp;
            result.status = exception.status;
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_replace_what_the_timestamp_implies() {
        let exception = ResultException { timestamp: 7, index: 1, status: 46 };
        let beyond = ResultException { timestamp: 9, index: 3, status: 1 };
        let results = expand_results(102, 3, &[exception, beyond]);
        let pairs: Vec<_> =
            results.iter().map(|result| (result.timestamp, result.status)).collect();
        assert_eq!(pairs, [(100, CREATED), (7, 46), (102, CREATED)]);
    }
}
