//! The network: connections, and messages that are lost, late, repeated, overtaken, or held up by a parting.

use crate::oracle::Violation;
use crate::world::{Event, MS, World};
use mizan_replica::{Session, Verdict, handshake};

fn pair(one: u8, other: u8) -> (u8, u8) {
    (one.min(other), one.max(other))
}

impl World {
    pub(crate) fn connect(&mut self, one: u8, other: u8) -> Result<(), Violation> {
        let is_up = |node: u8| self.places[usize::from(node)].node.is_some();
        if self.connections.contains_key(&pair(one, other)) || !is_up(one) || !is_up(other) {
            return Ok(());
        }
        let nonces = [self.nonce(), self.nonce()];
        // Greeting, hello and answer: one of them that does not get through leaves no connection.
        let is_cut = [(one, other), (other, one)].iter().any(|way| self.cut.contains_key(way));
        let is_paused = |node: u8| self.places[usize::from(node)].paused_until_ns > self.now_ns;
        let is_deaf = is_cut || is_paused(one) || is_paused(other);
        if is_deaf || (0..3).any(|_| self.random.below(100) < self.loss_percent) {
            self.after(50 * MS, Event::Connect { one, other });
            return Ok(());
        }
        let (listener, dialler) = pair(one, other);
        let of = |node: u8| {
            let node = self.places[usize::from(node)].node.as_ref();
            node.expect("invariant: both are up").replica.identity()
        };
        let sessions = handshake::connect(&of(dialler), &of(listener), nonces);
        let (dialled, accepted) = sessions.expect("invariant: all nodes share the secret");
        if self.refuses(dialler, &dialled, &accepted)?
            || self.refuses(listener, &accepted, &dialled)?
        {
            return Ok(());
        }
        self.connections.insert(pair(one, other), self.next_connection);
        self.next_connection += 1;
        let now_ns = self.now_ns;
        for (node, session) in [(dialler, dialled), (listener, accepted)] {
            if let Some(node) = &mut self.places[usize::from(node)].node {
                node.replica.handle_connected(session, now_ns);
            }
        }
        self.drain(one)?;
        self.drain(other)
    }

    /// Whether a node refuses the peer of a connection that was just made, which then hears why.
    fn refuses(
        &mut self,
        node: u8,
        session: &Session,
        peers_session: &Session,
    ) -> Result<bool, Violation> {
        let (now_ns, peer) = (self.now_ns, session.peer());
        let judge = self.places[usize::from(node)].node.as_mut();
        let judge = &mut judge.expect("invariant: both are up").replica;
        let Verdict::Refuse(bytes) = judge.judge_connection(session, false, now_ns) else {
            return Ok(false);
        };
        if let Some(refused) = &mut self.places[usize::from(peer)].node {
            refused.replica.handle_connected(peers_session.clone(), now_ns);
            let outcome = refused.replica.handle_message(node, &bytes, now_ns);
            refused.replica.handle_disconnected(node);
            self.note(&format!("{node} refuses {peer}: {outcome:?}"));
        }
        self.drain(node)?;
        self.drain(peer)?;
        self.after(50 * MS, Event::Connect { one: node, other: peer });
        Ok(true)
    }

    fn nonce(&mut self) -> [u8; 32] {
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&self.random.next_u64().to_le_bytes());
        nonce[8..16].copy_from_slice(&self.random.next_u64().to_le_bytes());
        nonce
    }

    pub(crate) fn disconnect(&mut self, one: u8, other: u8) {
        if self.connections.remove(&pair(one, other)).is_none() {
            return;
        }
        for (node, peer) in [(one, other), (other, one)] {
            if let Some(node) = &mut self.places[usize::from(node)].node {
                node.replica.handle_disconnected(peer);
            }
        }
        let delay_ns = (20 + self.random.below(80)) * MS;
        self.after(delay_ns, Event::Connect { one, other });
    }

    pub(crate) fn send(&mut self, from: u8, to: u8, bytes: Vec<u8>) {
        let Some(&connection) = self.connections.get(&pair(from, to)) else { return };
        if self.cut.contains_key(&(from, to)) || self.random.below(100) < self.loss_percent {
            return;
        }
        let delay_ns = self.delay_ns();
        if self.loss_percent > 0 && self.random.below(50) == 0 {
            let event = Event::Message { connection, from, to, bytes: bytes.clone() };
            self.after(delay_ns + MS, event);
        }
        self.after(delay_ns, Event::Message { connection, from, to, bytes });
    }

    /// Now and then a message is late, and others overtake it. A quiet network keeps the order.
    fn delay_ns(&mut self) -> u64 {
        let is_late = self.loss_percent > 0 && self.random.below(50) == 0;
        if is_late { (1 + self.random.below(60)) * MS } else { MS / 5 }
    }

    pub(crate) fn deliver(
        &mut self,
        connection: u64,
        from: u8,
        to: u8,
        bytes: &[u8],
    ) -> Result<(), Violation> {
        if self.connections.get(&pair(from, to)) != Some(&connection) {
            return Ok(());
        }
        let now_ns = self.now_ns;
        let Some(node) = &mut self.places[usize::from(to)].node else { return Ok(()) };
        let outcome = node.replica.handle_message(from, bytes, now_ns);
        let kind = bytes.get(40).copied().unwrap_or(0);
        if let Some(standing) = &mut self.places[usize::from(to)].standing {
            // 10: an answer.
            standing.was_answered |= kind == 10 && outcome.is_ok();
        }
        if outcome.is_err() || kind > 3 {
            self.note(&format!("{from} to {to}: kind {kind}, {outcome:?}"));
        }
        self.drain(to)
    }
}
