//! `mizan repl`: the same verbs, line by line, without the word mizan.
//!
//! The language is as small as it looks: words between blanks, quotes around words with blanks, `;` between verbs,
//! `#` before a comment. What is absent: variables, pipes, history, line editing.

use crate::Context;
use crate::args::{Args, ReplArgs, Verb};
use crate::config::Key;
use crate::error::CliError;
use crate::exit;
use crate::output::Output;
use crate::{report, verbs};
use clap::{CommandFactory, Parser};
use std::io::{BufRead, IsTerminal, Read};

const PROMPT: &str = "mizan> ";
/// Bytes of the longest line, so that no input fills the memory.
const LINE_SIZE_MAX: u64 = 1 << 20;
const WELCOME: &str = "`help` lists the verbs, `exit` ends";

/// Runs the verb.
///
/// # Errors
/// Standard input cannot be read. A verb that fails does not end it.
pub fn run(context: &mut Context, args: &ReplArgs) -> Result<u8, CliError> {
    let mut session = Repl::new(context, args)?;
    if let Some(line) = &args.command {
        session.line(line);
        return Ok(session.code);
    }
    let input = std::io::stdin();
    let is_interactive = input.is_terminal();
    if is_interactive {
        session.context.output.note(WELCOME)?;
    }
    session.read(&mut input.lock(), is_interactive)?;
    Ok(if is_interactive { exit::OK } else { session.code })
}

struct Repl<'a> {
    context: &'a mut Context,
    /// The code of the last verb that failed.
    code: u8,
    is_over: bool,
    is_json: bool,
}

impl<'a> Repl<'a> {
    /// The flags of the repl itself become the environment of its verbs, which may have flags of their own.
    fn new(context: &'a mut Context, args: &ReplArgs) -> Result<Self, CliError> {
        let connect = &args.connect;
        // A mistake in them is reported once, not by every verb.
        crate::connection::client_config(&context.settings, connect, true)?;
        for (key, flag) in [
            (Key::Address, &connect.address),
            (Key::Cluster, &connect.cluster),
            (Key::ConnectTimeout, &connect.connect_timeout),
            (Key::RequestTimeout, &connect.request_timeout),
        ] {
            if let Some(text) = flag {
                context.settings = context.settings.with_variable(key.variable(), text.clone());
            }
        }
        let is_json = context.output.is_json();
        Ok(Self { context, code: exit::OK, is_over: false, is_json })
    }

    fn read(&mut self, input: &mut dyn BufRead, is_interactive: bool) -> Result<(), CliError> {
        let mut line = String::new();
        while !self.is_over {
            if is_interactive {
                self.context.output.prompt(PROMPT)?;
            }
            line.clear();
            let mut start = (&mut *input).take(LINE_SIZE_MAX + 1);
            let size = start.read_line(&mut line).map_err(|source| CliError::File {
                what: "cannot read standard input".to_owned(),
                source,
            })?;
            if size == 0 {
                break;
            }
            if size as u64 > LINE_SIZE_MAX {
                return Err(CliError::Usage(format!(
                    "a line is longer than {LINE_SIZE_MAX} bytes, and nothing of it was run"
                )));
            }
            self.line(&line);
        }
        Ok(())
    }

    /// Runs all verbs of a line, whether or not anybody reads what they say.
    fn line(&mut self, line: &str) {
        let commands = match split_commands(line) {
            Ok(commands) => commands,
            Err(error) => return self.take(Err(error)),
        };
        for words in commands {
            let result = self.command(words);
            self.take(result);
            if self.is_over {
                break;
            }
        }
    }

    fn take(&mut self, result: Result<u8, CliError>) {
        let code = report(&mut self.context.output, result);
        self.context.output.set_json(self.is_json);
        self.context.output.set_carries_on(true);
        if code != exit::OK {
            self.code = code;
        }
    }

    fn command(&mut self, words: Vec<String>) -> Result<u8, CliError> {
        match words.first().map(String::as_str) {
            None => return Ok(exit::OK),
            Some("exit" | "quit") => {
                self.is_over = true;
                return Ok(exit::OK);
            }
            Some("help") if words.len() == 1 => return list_verbs(&mut self.context.output),
            Some("repl") => {
                return Err(CliError::Usage("this is the repl already".to_owned()));
            }
            Some(_) => {}
        }
        let has_name = words.first().is_some_and(|word| word == "mizan");
        let name = (!has_name).then(|| "mizan".to_owned());
        let args = match Args::try_parse_from(name.into_iter().chain(words)) {
            Ok(args) => args,
            Err(error) => return crate::show_parse_error(&mut self.context.output, &error),
        };
        if args.config.is_some() || matches!(args.verb, Verb::Repl(_)) {
            let text = "--config and repl belong to the line that started the repl";
            return Err(CliError::Usage(text.to_owned()));
        }
        self.context.output.set_json(self.is_json || args.json);
        // One that shows something for ever ends when nobody looks.
        self.context.output.set_carries_on(!verbs::only_shows(&args.verb));
        verbs::dispatch(self.context, &args.verb)
    }
}

fn list_verbs(output: &mut Output) -> Result<u8, CliError> {
    for verb in Args::command().get_subcommands() {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        output.line(format!("{:<14} {about}", verb.get_name()))?;
    }
    output.line(format!("{:<14} Ends", "exit"))?;
    Ok(exit::OK)
}

/// Splits a line into words; quotes keep blanks together, `#` begins a comment.
///
/// # Errors
/// A quote that is not closed.
pub fn split_words(line: &str) -> Result<Vec<String>, CliError> {
    Ok(split_commands(line)?.into_iter().flatten().collect())
}

/// Splits a line into commands and these into words. A command may be empty.
fn split_commands(line: &str) -> Result<Vec<Vec<String>>, CliError> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let end_word = |word: &mut Option<String>, commands: &mut Vec<Vec<String>>| {
        if let (Some(word), Some(command)) = (word.take(), commands.last_mut()) {
            command.push(word);
        }
    };
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ';') => {
                end_word(&mut word, &mut commands);
                commands.push(Vec::new());
            }
            (None, '#') if word.is_none() => break,
            (None, letter) if letter.is_whitespace() => end_word(&mut word, &mut commands),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    if let Some(quote) = quote {
        return Err(CliError::Usage(format!("a {quote} is not closed")));
    }
    end_word(&mut word, &mut commands);
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use std::rc::Rc;

    fn words(line: &str) -> Vec<Vec<String>> {
        split_commands(line).expect("closed quotes")
    }

    #[test]
    fn semicolons_separate_verbs_and_blanks_separate_words() {
        assert_eq!(
            words("transfer alice bob 1 USD; account alice"),
            [vec!["transfer", "alice", "bob", "1", "USD"], vec!["account", "alice"]]
        );
        assert_eq!(words("  \t "), [Vec::<String>::new()]);
        assert_eq!(words("a;;b;"), [vec!["a"], vec![], vec!["b"], vec![]]);
    }

    #[test]
    fn quotes_keep_blanks_and_semicolons_and_may_be_empty() {
        assert_eq!(words("account 'al ice; \"x\"'"), [["account", "al ice; \"x\""]]);
        assert_eq!(words("--id=\"a b\"c ''"), [["--id=a bc", ""]]);
        assert!(split_commands("account 'alice").is_err());
    }

    #[test]
    fn a_comment_begins_only_where_a_word_could() {
        assert_eq!(words("ledgers # all of them; really"), [["ledgers"]]);
        assert_eq!(words("account a#b"), [["account", "a#b"]]);
    }

    fn run_lines(lines: &str) -> (u8, bool) {
        let settings = Settings::new(Rc::new(|_| None));
        let mut context = Context { settings, output: Output::silent() };
        let connect = crate::args::ConnectArgs::default();
        let args = ReplArgs { command: None, connect };
        let mut repl = Repl::new(&mut context, &args).expect("good flags");
        repl.read(&mut lines.as_bytes(), false).expect("readable");
        (repl.code, repl.is_over)
    }

    #[test]
    fn an_error_does_not_end_it_and_the_last_error_is_the_exit_code() {
        assert_eq!(run_lines("explain exists\n"), (exit::OK, false));
        assert_eq!(run_lines("explain nonsense\nexplain exists\n"), (exit::USAGE, false));
        assert_eq!(run_lines("account 'open\nexplain exists"), (exit::USAGE, false));
        assert_eq!(
            run_lines("no-such-verb; explain exists; exit; no-such-verb"),
            (exit::USAGE, true)
        );
        assert_eq!(run_lines("ledgers --config x"), (exit::USAGE, false));
    }

    #[test]
    fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
        let settings = Settings::new(Rc::new(|_| None));
        let mut context = Context { settings, output: Output::silent() };
        let args = ReplArgs { command: None, connect: crate::args::ConnectArgs::default() };
        let mut repl = Repl::new(&mut context, &args).expect("good flags");
        let mut endless = std::io::BufReader::new(std::io::repeat(b' '));
        let error = repl.read(&mut endless, false).expect_err("no end");
        assert_eq!(error.exit_code(), exit::USAGE);
    }

    #[test]
    fn help_and_empty_lines_are_no_errors() {
        assert_eq!(
            run_lines("\n# nothing\nhelp\nhelp transfer\nmizan explain 54\n"),
            (exit::OK, false)
        );
    }
}
