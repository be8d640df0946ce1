//! Files and what is read from them, line by line.

use super::*;
use crate::args::{Args, Verb};
use clap::Parser;

fn args(flags: &str) -> ImportArgs {
    let currency = if flags.contains("--currency") { "" } else { "--currency USD" };
    let line = format!("mizan import file.csv {currency} {flags}");
    let args = Args::try_parse_from(line.split_whitespace()).expect("parses");
    let Verb::Import(args) = args.verb else { panic!("not an import") };
    *args
}

fn open(flags: &str, text: impl Into<Vec<u8>>) -> Result<Rows, CliError> {
    Rows::open(&args(flags), &Source::of_bytes("file.csv", &text.into()))
}

fn lines(flags: &str, text: impl Into<Vec<u8>>) -> Vec<Line> {
    let mut rows = open(flags, text).expect("opens");
    let ledgers = Ledgers::of(&[("USD", 2)]);
    std::iter::from_fn(|| rows.next(&ledgers).expect("reads")).take(100).collect()
}

fn bad(line: &Line) -> (u64, &str) {
    match line {
        Line::Bad { line, reason, .. } | Line::Stop { line, reason } => (*line, reason),
        other => panic!("{other:?} is not bad"),
    }
}

const BY_NUMBER: &str =
    "--id-column 1 --from-column 2 --to-column 3,4 --amount-column 5 --no-header";
const BY_NAME: &str = "--id-column id --from-column from --to-column to --amount-column amount";

fn good(line: &Line) -> &Row {
    match line {
        Line::Good(row) => row,
        other => panic!("{other:?} is not good"),
    }
}

#[test]
fn a_file_without_a_header_is_read_from_its_first_line() {
    let found = lines(BY_NUMBER, "1,9,YZ,77,245.20\n2,9,ST,78,\"1,000.00\"\n");
    assert_eq!(found.len(), 2);
    let first = good(&found[0]);
    assert_eq!((first.line, first.from.as_str(), first.to.as_str()), (1, "9", "YZ/77"));
    assert_eq!((first.amount, good(&found[1]).amount), (24_520, 100_000));
}

#[test]
fn columns_given_by_name_make_the_first_line_a_header() {
    let found = lines(BY_NAME, "amount,id,to,from\n 5 , a , b , c \n");
    let row = good(&found[0]);
    assert_eq!((row.line, row.id.as_str(), row.from.as_str()), (2, "a", "c"));
    assert_eq!(found.len(), 1);
}

#[test]
fn a_header_that_is_not_announced_is_a_bad_line_and_not_silently_skipped() {
    let found = lines(BY_NUMBER, "id,from,bank,to,amount\n1,9,YZ,77,1\n");
    assert!(matches!(&found[0], Line::Bad { line: 1, .. }), "{found:?}");
    assert_eq!(good(&found[1]).amount, 100);
}

#[test]
fn columns_by_number_do_not_say_whether_the_first_line_is_a_header() {
    let text = "id,payer,bank,payee,2024\n1,9,YZ,77,1\n";
    let flags = BY_NUMBER.replace(" --no-header", "");
    let Err(error) = open(&flags, text) else { panic!("it opens") };
    assert!(matches!(&error, CliError::Usage(said) if said.contains("--no-header")), "{error}");
    assert_eq!(lines(&format!("{flags} --header"), text).len(), 1);
    assert_eq!(lines(BY_NUMBER, text).len(), 2);
}

#[test]
fn a_line_that_the_file_ends_within_stops_the_reading() {
    for text in ["1,a,b,1\n2,a,b,2", "1,a,b,1\n2,a,b", "1,a,b,1\n2,a,b,\"2\"", "1,a,b,1\n "] {
        let found = lines(BY_NAME, format!("id,from,to,amount\n{text}"));
        assert!(matches!(&found[1], Line::Stop { line: 3, reason } if reason == CUT), "{found:?}");
    }
}

#[test]
fn bad_lines_carry_number_and_reason_and_the_others_go_on() {
    let text = "id,from,to,amount\n1,a,b,1.005\n2,a,b,-1\n3,a,,1\n4,a\n5,a,b,1\n";
    let found = lines(BY_NAME, text);
    let reasons: Vec<(u64, &str)> = found
        .iter()
        .filter_map(|line| match line {
            Line::Bad { line, reason, .. } => Some((*line, reason.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(reasons.len(), 4);
    assert!(reasons[0].0 == 2 && reasons[0].1.contains("more than 2 decimal places"));
    assert!(reasons[1].0 == 3 && reasons[1].1.contains("negative"));
    assert_eq!(reasons[2], (4, "column 3 (to) is empty"));
    let short = "the line has 2 columns, the header 4; no column may be left away";
    assert_eq!(reasons[3], (5, short));
    assert_eq!(good(&found[4]).id, "5");
}

#[test]
fn an_amount_that_its_own_comma_splits_is_a_bad_line_and_not_a_thousandth() {
    let found = lines(BY_NAME, "id,from,to,amount\n1,a,b,1,000.00\n2,a,b,\"1,000.00\"\n");
    let reason = "the line has 5 columns, the header 4; quote amounts that contain the delimiter";
    assert_eq!(bad(&found[0]), (2, reason));
    assert_eq!(good(&found[1]).amount, 100_000);
    let found = lines(BY_NUMBER, "1,a,YZ,b,1\n2,a,YZ,b,1,000.00\n");
    assert_eq!(good(&found[0]).amount, 100);
    assert!(bad(&found[1]).1.starts_with("the line has 6 columns, the first line 5; quote"));
}

#[test]
fn a_field_with_a_line_break_belongs_to_one_record() {
    let text = "id,from,to,amount,memo\n1,a,b,1,\"rent\r\n2,a,b,400,x\r\nthanks\"\n3,a,b,2,ok\n";
    let found = lines(BY_NAME, text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((good(&found[0]).line, good(&found[0]).amount), (2, 100));
    assert_eq!((good(&found[1]).line, good(&found[1]).amount), (5, 200));
}

#[test]
fn nothing_behind_a_quote_that_is_not_closed_is_a_payment() {
    let text = "id,from,to,amount\n1,a,b,1\n2,\"a,b,2\n3,a,b,3\n";
    let mut rows = open(BY_NAME, text).expect("opens");
    let ledgers = Ledgers::of(&[("USD", 2)]);
    let mut next = || rows.next(&ledgers).expect("reads").expect("a line");
    assert_eq!(good(&next()).id, "1");
    let stop = next();
    assert!(matches!(stop, Line::Stop { .. }), "{stop:?}");
    assert_eq!(bad(&stop), (3, "a quote opened in line 3 is not closed"));
}

#[test]
fn two_ids_that_differ_in_quoted_blanks_stay_two() {
    let found = lines(BY_NAME, "id,from,to,amount\n\" x\",a,b,1\n\"x\", a ,b,1\nx,a,b,1\n");
    let ids: Vec<&str> = found.iter().map(|line| good(line).id.as_str()).collect();
    assert_eq!(ids, [" x", "x", "x"]);
    assert_eq!(good(&found[1]).from, "a");
}

#[test]
fn lines_above_the_header_are_passed_over_and_counted() {
    let text = "\"Account:\";\"0000\n\n\"From:\"\nid;from;to;amount\n1;a;b;30.78\n";
    let found = lines(&format!("{BY_NAME} --delimiter ; --skip 3"), text);
    assert_eq!((good(&found[0]).line, good(&found[0]).amount), (5, 3_078));
    assert_eq!(found.len(), 1);
    assert!(open(&format!("{BY_NAME} --skip 9"), text).is_err());
}

#[test]
fn a_line_that_does_not_say_what_it_must_is_left_out_whatever_else_it_says() {
    let flags = format!("{BY_NAME} --where status=Paid --where status=Done --where 6=x");
    let text = "id,from,to,amount,status,k\n1,a,b,1,Paid,x\n2,a,b,bad,Open,x\n3,a,b,3,Done,x\n4,a,b,4,Paid,y\n5,a,b,5,,x\n6,a\n";
    let found = lines(&flags, text);
    let ids: Vec<_> = [0, 2].map(|index| good(&found[index]).id.as_str()).into();
    assert_eq!(ids, ["1", "3"]);
    for index in [1, 3, 4] {
        assert_eq!(found[index], Line::LeftOut, "{index}");
    }
    assert_eq!(bad(&found[5]).0, 7);
    assert!(open(&format!("{BY_NAME} --where status"), text).is_err());
    assert!(open(&format!("{BY_NAME} --where none=1"), text).is_err());
}

#[test]
fn statements_say_by_the_sign_or_by_the_column_who_pays() {
    let signed = "--no-header --id-column 1 --account bank --other-column 2 --amount-column 3";
    let found = lines(signed, "1,x,20.00\n2,x,-20.00\n3,x,(7.00)\n4,x,7.00-\n5,x,(-7)\n");
    for (line, from, to, amount, own) in [
        (0, "x", "bank", 2_000, Side::To),
        (1, "bank", "x", 2_000, Side::From),
        (2, "bank", "x", 700, Side::From),
        (3, "bank", "x", 700, Side::From),
    ] {
        let row = good(&found[line]);
        assert_eq!((row.from.as_str(), row.to.as_str()), (from, to));
        assert_eq!((row.amount, row.own), (amount, Some(own)));
    }
    assert!(bad(&found[4]).1.contains("(-7)"));
    let columns =
        "--no-header --id-column 1 --account bank --other-column 2 --in-column 3 --out-column 4";
    let found = lines(columns, "1,x,5,\n2,x,0.00,6\n3,x,,\n4,x,1,1\n5,x,-1,\n");
    assert_eq!((good(&found[0]).amount, good(&found[0]).own), (500, Some(Side::To)));
    assert_eq!((good(&found[1]).amount, good(&found[1]).own), (600, Some(Side::From)));
    assert!(bad(&found[2]).1.starts_with("neither column 3 nor column 4"));
    assert!(bad(&found[3]).1.ends_with("both have an amount"));
    assert!(bad(&found[4]).1.contains("negative"));
}

#[test]
fn one_account_may_pay_or_be_paid_by_all_lines_and_then_nothing_is_negative() {
    let found = lines(
        "--no-header --id-column 1 --from firm --to-column 2 --amount-column 3",
        "1,x,5\n2,x,-5\n",
    );
    let row = good(&found[0]);
    assert_eq!((row.from.as_str(), row.own), ("firm", Some(Side::From)));
    assert!(bad(&found[1]).1.contains("negative"));
    let found =
        lines("--no-header --id-column 1 --from-column 2 --to shop --amount-column 3", "1,x,5\n");
    assert_eq!((good(&found[0]).to.as_str(), good(&found[0]).own), ("shop", Some(Side::To)));
}

#[test]
fn code_date_and_memo_are_checked_line_by_line() {
    let flags =
        format!("{BY_NAME} --code-column c --date-column d --date-order dmy --memo-column m");
    let text = "id,from,to,amount,c,d,m\n1,a,b,1,7,26.03.2013,\"a\nb\"\n2,a,b,1,0,26.03.2013,\n3,a,b,1,+7,26.03.2013,\n4,a,b,1,7,30.02.2013,\n5,a,b,1,7,26.03.2013,\u{1b}[2J\n";
    let found = lines(&flags, text);
    assert_eq!(good(&found[0]).code, 7);
    assert!(bad(&found[1]).1.contains("`0` is no code"));
    assert!(bad(&found[2]).1.contains("`+7` is no code"));
    assert!(bad(&found[3]).1.contains("`30.02.2013` is no day"));
    assert!(bad(&found[4]).1.contains("control characters"));
}

#[test]
fn the_decimal_mark_of_a_file_is_named_where_it_could_be_either() {
    let text = "id;from;to;amount\n1;a;b;1,500\n2;a;b;12,345\n3;a;b;0,500\n4;a;b;1.000\n";
    let flags = format!("{BY_NAME} --delimiter ;");
    let read = |flags: &str| {
        let mut rows = open(flags, text).expect("opens");
        let ledgers = Ledgers::of(&[("USD", 3)]);
        let next = || rows.next(&ledgers).expect("reads");
        std::iter::from_fn(next)
            .map(|line| match line {
                Line::Good(row) => Some(row.amount),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(read(&flags), [None, None, None, Some(1_000)]);
    let comma = [Some(1_500), Some(12_345), Some(500), Some(1_000_000)];
    assert_eq!(read(&format!("{flags} --decimal ,")), comma);
    let point = [Some(1_500_000), Some(12_345_000), None, Some(1_000)];
    assert_eq!(read(&format!("{flags} --decimal .")), point);
}

#[test]
fn lines_go_to_the_ledger_of_their_currency_if_the_file_says_it() {
    let flags = format!("{BY_NAME} --currency-column cur");
    let text = "id,from,to,amount,cur\n1,a,b,1,usd\n2,a,b,100,JPY\n3,a,b,1,EUR\n";
    let mut rows = open(&flags, text).expect("opens");
    let ledgers = Ledgers::of(&[("USD", 2), ("JPY", 0)]);
    let mut next = || rows.next(&ledgers).expect("reads").expect("a line");
    let (dollar, yen, euro) = (next(), next(), next());
    assert_eq!((good(&dollar).ledger, good(&dollar).amount), (0, 100));
    assert_eq!((good(&yen).ledger, good(&yen).amount), (1, 100));
    assert_eq!(bad(&euro).1, "no ledger has the currency EUR");
}

#[test]
fn a_mark_before_the_first_line_and_other_line_ends_do_not_matter() {
    let text = "\u{FEFF}id,from,to,amount\r\n\r\n1,a,b,1\r\n2,a,b,2";
    let found = lines(&format!("{BY_NAME} --no-final-newline"), text);
    assert_eq!((good(&found[0]).line, good(&found[0]).amount), (3, 100));
    assert_eq!((good(&found[1]).line, good(&found[1]).amount), (4, 200));
    assert_eq!(found.len(), 2);
}

#[test]
fn an_overlong_line_is_a_bad_line_and_the_next_one_is_read() {
    for (length, is_good) in [
        (super::super::record::RECORD_SIZE_MAX, true),
        (super::super::record::RECORD_SIZE_MAX + 1, false),
        (3 << 20, false),
    ] {
        let line = "1".repeat(length - 6) + ",a,b,1";
        let found = lines(BY_NAME, format!("id,from,to,amount\n{line}\n2,a,b,2\n"));
        assert_eq!(matches!(found[0], Line::Good(_)), is_good, "{length}");
        assert_eq!((found.len(), good(&found[1]).line), (2, 3));
    }
}

#[test]
fn an_empty_file_and_an_ambiguous_header_are_usage_errors_that_say_so() {
    for (text, reason) in [
        ("", "the file is empty"),
        ("\n\r\n", "the file is empty"),
        ("id,from,to,amount,amount\n", "columns 4 and 5 both `amount`"),
        ("\u{FEFF}", "the file is empty"),
        ("id,from,to,\"amount\n", "a quote opened in line 1 is not closed"),
    ] {
        let Err(error) = open(BY_NAME, text) else { panic!("{text:?} opens") };
        assert!(matches!(&error, CliError::Usage(_)));
        assert!(error.to_string().contains(reason), "{text:?}: {error}");
    }
    assert!(open(BY_NUMBER, "").is_err());
}

#[test]
fn user_data_is_a_number_and_128_bits_may_be_a_hashed_text() {
    let flags = format!("{BY_NAME} --user-data-128-column kind --user-data-32-column n");
    let found = lines(&flags, "id,from,to,amount,kind,n\n1,a,b,1,HH,7\n2,a,b,1,9,x\n");
    let row = good(&found[0]);
    assert_eq!(Ok(row.user_data_128), names::transfer_id("HH"));
    assert_eq!(row.user_data_32, 7);
    assert!(matches!(&found[1], Line::Bad { reason, .. } if reason.contains("32 bits")));
}

#[test]
fn the_delimiter_follows_the_extension_unless_it_is_given() {
    let with = |file: &str, flags: &str| {
        let mut args = args(&format!("{BY_NUMBER} {flags}"));
        args.file = file.into();
        delimiter(&args)
    };
    assert_eq!(with("a.csv", "").expect("comma"), b',');
    assert_eq!(with("a.TSV", "").expect("tab"), b'\t');
    assert_eq!(with("a.txt", "--delimiter ;").expect("given"), b';');
    assert_eq!(with("a.csv", "--delimiter tab").expect("given"), b'\t');
    assert!(with("a.csv", "--delimiter ;;").is_err());
}
