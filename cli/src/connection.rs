//! From settings to a connected client, and an orderly end of its session.

use crate::Context;
use crate::args::ConnectArgs;
use crate::config::{Key, Settings};
use crate::error::CliError;
use mizan_client::constants::{CONNECT_TIMEOUT_DEFAULT, REQUEST_TIMEOUT_DEFAULT};
use mizan_client::{Client, ClientConfig, ClientError};

/// What the client is to be told.
///
/// # Errors
/// A setting that makes no sense.
pub fn client_config(
    settings: &Settings,
    connect: &ConnectArgs,
    read_only: bool,
) -> Result<ClientConfig, CliError> {
    let connect_flag = connect.connect_timeout.as_deref();
    let request_flag = connect.request_timeout.as_deref();
    Ok(ClientConfig {
        addresses: settings.addresses(connect.address.as_deref())?,
        cluster: settings.cluster(connect.cluster.as_deref())?,
        connect_timeout: settings.duration(
            Key::ConnectTimeout,
            connect_flag,
            CONNECT_TIMEOUT_DEFAULT,
        )?,
        request_timeout: settings.duration(
            Key::RequestTimeout,
            request_flag,
            REQUEST_TIMEOUT_DEFAULT,
        )?,
        read_only,
        // Who looks what a node does must get in when nobody else does.
        operator: read_only,
        ..ClientConfig::default()
    })
}

/// Does some work with a session, and closes it whatever comes of the work.
///
/// # Errors
/// That of connecting or of the work. A session that cannot be closed is only a note: the work is done.
pub fn with_session<T>(
    context: &mut Context,
    connect: &ConnectArgs,
    work: impl FnOnce(&mut Context, &mut Client) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let mut client = Client::connect(client_config(&context.settings, connect, false)?)?;
    let result = work(context, &mut client);
    let is_usable = !matches!(&result, Err(CliError::Client(error)) if error.is_final());
    if let (true, Err(error)) = (is_usable, client.close())
        && error != ClientError::SessionLost
    {
        context.output.note(format!(
            "note: the session could not be closed ({error}); the node forgets it when it is idle for long"
        ))?;
    }
    result
}

/// Does some reading without a session: nothing is left behind on the node.
///
/// # Errors
/// That of connecting or of the work.
pub fn with_reader<T>(
    context: &mut Context,
    connect: &ConnectArgs,
    work: impl FnOnce(&mut Context, &mut Client) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let mut client = Client::connect(client_config(&context.settings, connect, true)?)?;
    work(context, &mut client)
}
