//! Bytes on their way: to a peer, or from memory to this node's disk.
//!
//! Invariant: both are bounded by the windows of [`crate::constants`], whatever a disk or a peer does.

use crate::log::FrameEnd;
use std::collections::VecDeque;

/// Sizes of messages by their last sequence, until a position passes them.
#[derive(Debug, Default)]
pub(super) struct Window {
    messages: VecDeque<(u64, u64)>,
    size: u64,
}

impl Window {
    pub(super) fn push(&mut self, last_sequence: u64, size: u64) {
        self.messages.push_back((last_sequence, size));
        self.size += size;
    }

    pub(super) fn release_to(&mut self, sequence: u64) {
        while self.messages.front().is_some_and(|(last, _)| *last <= sequence) {
            let size = self.messages.pop_front().map_or(0, |(_, size)| size);
            self.size -= size;
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }
}

/// Frames that this node received and that are not durable here yet.
#[derive(Debug)]
pub(super) struct Backlog {
    frames: VecDeque<(FrameEnd, u64)>,
    size: u64,
    /// The last frame that became durable.
    durable_end: FrameEnd,
}

impl Backlog {
    /// Nothing waits: the log is durable to its end.
    pub(super) fn new(durable_end: FrameEnd) -> Self {
        Self { frames: VecDeque::new(), size: 0, durable_end }
    }

    pub(super) fn push(&mut self, end: FrameEnd, size: u64) {
        self.frames.push_back((end, size));
        self.size += size;
    }

    pub(super) fn release_to(&mut self, sequence: u64) {
        while self.frames.front().is_some_and(|(end, _)| end.sequence <= sequence) {
            if let Some((end, size)) = self.frames.pop_front() {
                self.size -= size;
                self.durable_end = end;
            }
        }
    }

    /// The log was cut behind `end`.
    pub(super) fn cut_to(&mut self, end: FrameEnd) {
        while self.frames.back().is_some_and(|(last, _)| last.sequence > end.sequence) {
            self.size -= self.frames.pop_back().map_or(0, |(_, size)| size);
        }
        if self.durable_end.sequence > end.sequence {
            self.durable_end = end;
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The frame that ends with this sequence, if it is the last one that became durable.
    pub(super) fn durable_end(&self, durable: u64) -> Option<FrameEnd> {
        (self.durable_end.sequence == durable).then_some(self.durable_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(sequence: u64) -> FrameEnd {
        FrameEnd { epoch: 3, sequence, hash: [sequence as u8; 16] }
    }

    #[test]
    fn the_last_durable_frame_is_known_only_where_a_frame_ends() {
        let mut backlog = Backlog::new(end(4));
        for (last, size) in [(6, 100), (9, 50), (12, 10)] {
            backlog.push(end(last), size);
        }
        assert_eq!((backlog.size(), backlog.durable_end(4)), (160, Some(end(4))));
        backlog.release_to(9);
        assert_eq!((backlog.size(), backlog.durable_end(9)), (10, Some(end(9))));
        assert_eq!(backlog.durable_end(11), None, "a position that no frame told of");
        backlog.cut_to(end(9));
        assert!(backlog.is_empty() && backlog.size() == 0);
        backlog.cut_to(end(6));
        assert_eq!((backlog.durable_end(9), backlog.durable_end(6)), (None, Some(end(6))));
    }

    #[test]
    fn a_window_opens_by_whole_messages() {
        let mut window = Window::default();
        window.push(6, 100);
        window.push(9, 50);
        window.release_to(8);
        assert_eq!(window.size(), 50);
        window.release_to(9);
        assert_eq!(window.size(), 0);
    }
}
