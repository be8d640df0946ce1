//! Places for connections, and the tokens by which replies find them.
//!
//! A token is a place and its generation. The generation grows when a place is vacated, so a reply for a connection
//! that is gone never reaches the next one in its place. No token is 0.

use crate::connection::Connection;

/// Names a connection for as long as it lives, and nothing afterwards.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Token(u64);

impl Token {
    pub(crate) const fn new(slot: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | slot as u64)
    }

    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    pub(crate) const fn slot(self) -> u32 {
        self.0 as u32
    }
}

struct Slot {
    generation: u32,
    connection: Option<Box<Connection>>,
}

/// All connections.
#[derive(Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Slots {
    /// Connections that are there.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The token that the next inserted connection must have.
    pub(crate) fn next_token(&self) -> Token {
        match self.free.last() {
            Some(slot) => Token::new(*slot, self.slots[*slot as usize].generation),
            None => Token::new(self.slots.len() as u32, 1),
        }
    }

    /// # Panics
    /// If the connection's token is not [`Slots::next_token`].
    pub(crate) fn insert(&mut self, connection: Box<Connection>) {
        let token = self.next_token();
        assert_eq!(token, connection.token, "invariant: a connection is made for its place");
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize].connection = Some(connection);
        } else {
            self.slots.push(Slot { generation: 1, connection: Some(connection) });
        }
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<Box<Connection>> {
        let place = self.slots.get_mut(slot as usize)?;
        let connection = place.connection.take()?;
        // Generation 0 is skipped: it would make a token of 0 in the first place.
        place.generation = place.generation.checked_add(1).unwrap_or(1);
        self.free.push(slot);
        Some(connection)
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Connection> {
        self.slots.get_mut(slot as usize)?.connection.as_deref_mut()
    }

    /// The connection with this token, unless it is gone.
    pub(crate) fn by_token(&mut self, token: Token) -> Option<&mut Connection> {
        self.get_mut(token.slot()).filter(|connection| connection.token == token)
    }

    /// The places that are taken.
    pub(crate) fn occupied(&self) -> Vec<u32> {
        let slots = (0..).zip(&self.slots);
        slots.filter(|(_, place)| place.connection.is_some()).map(|(slot, _)| slot).collect()
    }
}
