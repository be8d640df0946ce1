//! `mizan sessions`: who may write, and an end to those who need not any more.

use crate::Context;
use crate::args::{CloseSessionsArgs, ListSessionsArgs};
use crate::connection::{client_config, with_reader};
use crate::error::CliError;
use crate::exit;
use crate::output::Table;
use crate::units::timestamp_text;
use mizan_client::{Client, ClientConfig};
use mizan_wire::limits::SESSIONS_PER_REQUEST_MAX;
use mizan_wire::{CREATED, RequestStatus, SessionKey, SessionRecord, Status};
use serde_json::{Value, json};

/// Runs `mizan sessions list`.
///
/// # Errors
/// The node cannot be asked.
pub fn run_list(context: &mut Context, args: &ListSessionsArgs) -> Result<u8, CliError> {
    with_reader(context, &args.connect, |context, client| {
        let mut sessions = client.sessions()?;
        sessions.retain(|session| !args.lost || session.lost_at != 0);
        let output = &mut context.output;
        if output.is_json() {
            output.json(&sessions.iter().map(as_json).collect::<Vec<Value>>().into())?;
            return Ok(exit::OK);
        }
        let heads = ["session", "client", "writes", "kept replies", "last used", "connection"];
        let mut table = Table::new(&heads, 1);
        for session in &sessions {
            let connection = match session.lost_at {
                0 => "open".to_owned(),
                lost_at => format!("lost {}", timestamp_text(lost_at)),
            };
            table.row([
                session.session.to_string(),
                format!("{:#x}", session.client),
                session.request_last.to_string(),
                session.reply_count.to_string(),
                timestamp_text(session.last_activity),
                connection,
            ]);
        }
        output.table(&table)?;
        Ok(exit::OK)
    })
}

/// Runs `mizan sessions close`.
///
/// # Errors
/// The node cannot be asked.
pub fn run_close(context: &mut Context, args: &CloseSessionsArgs) -> Result<u8, CliError> {
    let config = client_config(&context.settings, &args.connect, false)?;
    // Where no place is left, there is one for this.
    let mut client = Client::connect(ClientConfig { operator: true, ..config })?;
    let own = client.session();
    let open = client.sessions()?;
    let is_meant = |session: &&SessionRecord| {
        session.session != own
            && (args.sessions.contains(&session.session) || args.lost && session.lost_at != 0)
    };
    let keys: Vec<SessionKey> = open
        .iter()
        .filter(is_meant)
        .map(|session| SessionKey { client: session.client, session: session.session, reserved: 0 })
        .collect();
    let is_open = |number: &&u64| !keys.iter().any(|key| key.session == **number);
    let mut failed: Vec<u64> = args.sessions.iter().filter(is_open).copied().collect();
    for part in keys.chunks(SESSIONS_PER_REQUEST_MAX as usize) {
        let results = client.close_sessions(part)?;
        let refused = part.iter().zip(&results).filter(|(_, result)| result.status != CREATED);
        failed.extend(refused.map(|(key, _)| key.session));
    }
    client.close()?;
    let closed = keys.iter().filter(|key| !failed.contains(&key.session)).count();
    let output = &mut context.output;
    if output.is_json() {
        output.json(&json!({ "closed": closed, "unknown": failed }))?;
    } else {
        let plural = if closed == 1 { "" } else { "s" };
        output.line(format!("closed {closed} session{plural}"))?;
    }
    for number in &failed {
        let meaning = RequestStatus::SessionUnknown.meaning();
        output.note(format!("session {number} was not closed: {meaning}"))?;
    }
    Ok(if failed.is_empty() { exit::OK } else { exit::PROBLEM })
}

fn as_json(session: &SessionRecord) -> Value {
    json!({
        "session": session.session,
        "client": format!("{:#x}", session.client),
        "writes": session.request_last,
        "replies_kept": session.reply_count,
        "reply_bytes": session.reply_bytes,
        "last_activity": timestamp_text(session.last_activity),
        "lost": (session.lost_at != 0).then(|| timestamp_text(session.lost_at)),
    })
}
