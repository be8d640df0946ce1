//! What all handles of one ring share.

use crate::cells::Cells;
use crate::poison::Poison;

/// The shared part of a ring. The cursors are not here: each handle holds those that it needs.
pub(crate) struct Core<T> {
    pub(crate) cells: Cells<T>,
    pub(crate) poison: Poison,
}
