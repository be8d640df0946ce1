//! The command line of Mizan, as a library: `run` is the whole program.
//!
//! A line goes through [`args`] (what was typed), [`config`] (what else counts) and one module of [`verbs`], which
//! writes to [`output`] and ends in one of the codes of [`exit`].
//!
//! Invariants: data goes to standard output and talk to standard error; a verb never panics over its input; every
//! verb that writes opens a session of its own and closes it, so that short-lived processes fill no session table.
//!
//! What is absent: decisions about money. The node makes them; here they are asked for and shown.
#![forbid(unsafe_code)]

pub mod args;
pub mod balance;
pub mod config;
pub mod connection;
pub mod core_dumps;
pub mod error;
pub mod exit;
pub mod fault;
pub mod files;
pub mod independent;
pub mod log;
pub mod money;
pub mod names;
pub mod null_server;
pub mod output;
pub mod recorded_load;
pub mod scratch;
pub mod secret;
pub mod signals;
pub mod text_file;
pub mod units;
pub mod verbs;
pub mod verdict;

mod market;
mod movement;

use args::Args;
use clap::Parser;
use config::{Environment, Settings};
use error::CliError;
use output::Output;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::rc::Rc;

/// What every verb is given besides its own flags.
pub struct Context {
    /// Environment and configuration.
    pub settings: Settings,
    /// Where to write.
    pub output: Output,
}

/// Runs one command line with the process's environment and streams; gives the exit code.
///
/// The first of `args` is the program's own name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let environment: Environment = Rc::new(|name| std::env::var(name).ok());
    run_with(args, environment, &mut Output::standard())
}

/// Runs one command line with another environment and other streams; gives the exit code.
///
/// The first of `args` is the program's own name. Verbs that read lines read standard input all the same.
pub fn run_with(
    args: impl IntoIterator<Item = OsString>,
    environment: Environment,
    output: &mut Output,
) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    // A line that does not parse may yet say how its error is to be told.
    output.set_json(args.iter().any(|arg| arg == "--json"));
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let shown = show_parse_error(output, &error);
            return report(output, shown);
        }
    };
    output.set_json(args.json);
    // A limit on file sizes is an error that can be explained, not a death without words.
    let survived = signals::survive_file_size_limit();
    let loaded = survived.and_then(|()| Settings::load(environment, args.config.as_deref()));
    let result = loaded.and_then(|settings| {
        let streams = std::mem::replace(output, Output::silent());
        let mut context = Context { settings, output: streams };
        context.output.set_carries_on(!verbs::only_shows(&args.verb));
        let result = verbs::dispatch(&mut context, &args.verb);
        *output = context.output;
        match (result, output.take_failure()) {
            (Ok(exit::OK), Some(failure)) => Err(CliError::Output(failure)),
            (result, _) => result,
        }
    });
    report(output, result)
}

/// Help and versions are data; a line that does not parse is talk.
fn show_parse_error(output: &mut Output, error: &clap::Error) -> Result<u8, CliError> {
    let text = error.render().to_string();
    let text = text.trim_end();
    if error.use_stderr() {
        output.note(text)?;
        if output.is_json() {
            output.json(
                &json!({ "error": error_value(exit::USAGE, exit::name(exit::USAGE), text) }),
            )?;
        }
        Ok(exit::USAGE)
    } else {
        output.line(text)?;
        Ok(exit::OK)
    }
}

/// Turns a verb's result into the exit code, and says what went wrong.
pub(crate) fn report(output: &mut Output, result: Result<u8, CliError>) -> u8 {
    match result {
        Ok(code) => code,
        // Only a verb that shows something ends so; see `Output`.
        Err(error) if error.is_broken_pipe() => exit::OK,
        Err(error) => {
            // Nobody is left to be told if the streams are gone, too.
            let _ = output.note(format!("error: {error}"));
            // A verb that has told its part has told its failure in it.
            if output.is_json() && !output.has_json() {
                let _ = output.json(&json!({ "error": error_json(&error) }));
            }
            error.exit_code()
        }
    }
}

/// What a failed verb leaves under `error` on standard output with `--json`; the words stand on standard error as ever.
pub(crate) fn error_json(error: &CliError) -> Value {
    error_value(error.exit_code(), error.name(), &error.to_string())
}

fn error_value(code: u8, name: &str, message: &str) -> Value {
    json!({ "code": code, "name": name, "message": message })
}
