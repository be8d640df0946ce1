use super::*;

fn recorded(counts: &[(&str, u64)]) -> Recorded {
    Recorded {
        tolerance_percent: 3.0,
        rustc: "rustc".into(),
        valgrind: "valgrind".into(),
        instructions: these(counts),
    }
}

fn these(counts: &[(&str, u64)]) -> Counts {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn line(name: &str, count: u64) -> String {
    let (path, id) = name.rsplit_once("::").expect("a name has parts");
    format!(
        "{{\"module_path\":\"instructions::{path}\",\"id\":\"{id}\",\"profiles\":[{{\"data\":{{\"total\":\
         {{\"metrics\":{{\"Ir\":{{\"values\":{{\"new\":{count}}}}}}}}}}}}}]}}"
    )
}

fn all_lines() -> String {
    MEASURED.iter().map(|measured| line(measured.name, 7) + "\n").collect()
}

#[test]
fn growth_above_the_tolerance_fails_and_says_by_how_much_and_what_to_do() {
    let before = recorded(&[("a", 10_000), ("b", 10_000), ("c", 1_000)]);
    let found = these(&[("a", 10_310), ("b", 10_000), ("c", 1_100)]);
    let error = compare(&before, &found).expect_err("a grew");
    let text = error.to_string();
    assert!(text.contains("a (+3.10 %)") && text.contains(RECORD), "{text}");
    assert!(text.contains("a: 10000 -> 10310"), "all changes are told: {text}");
    assert!(!text.contains("b:") && !text.contains("c ("), "{text}");
}

#[test]
fn growth_within_the_tolerance_and_any_fall_pass_and_are_told() {
    let before = recorded(&[("a", 1_000), ("b", 1_000), ("c", 1_000)]);
    let changes = compare(&before, &these(&[("a", 1_030), ("b", 1_000), ("c", 500)]));
    let changes = changes.expect("nothing grew too much");
    assert!(changes.contains("a: 1000 -> 1030 instructions (+3.00 %)"), "{changes}");
    assert!(changes.contains("c: 1000 -> 500 instructions (-50.00 %)"), "{changes}");
    assert!(!changes.contains("b:"), "{changes}");
}

#[test]
fn a_benchmark_that_is_not_recorded_and_a_record_without_a_benchmark_fail() {
    let before = recorded(&[("a", 1)]);
    assert!(compare(&before, &these(&[("a", 1), ("b", 1)])).is_err());
    assert!(compare(&before, &these(&[])).is_err());
}

#[test]
fn the_output_of_all_benchmarks_is_read() {
    let counts = parse(&all_lines()).expect("all are there");
    assert_eq!(counts.len(), MEASURED.len());
    assert!(counts.values().all(|count| *count == 7));
}

#[test]
fn output_with_a_benchmark_too_many_or_too_few_or_without_a_count_is_refused() {
    let extra = all_lines() + &line("engine::transfers::new", 1);
    assert!(parse(&extra).is_err_and(|error| error.to_string().contains("engine::transfers::new")));
    let missing: String = all_lines().lines().skip(1).map(|line| format!("{line}\n")).collect();
    assert!(parse(&missing).is_err_and(|error| error.to_string().contains(MEASURED[0].name)));
    assert!(matches!(parse("{}"), Err(CountsError::Output { .. })));
}

#[test]
fn the_table_divides_by_the_units() {
    let name = "ring::single_producer::spans_of_16";
    let text = table(&recorded(&[(name, SPANS * 16 * 25)]));
    assert!(text.contains("| 25.0 | cell | 409600 |"), "{text}");
}

#[test]
fn the_recorded_counts_fit_the_benchmarks() {
    let recorded: Recorded =
        toml::from_str(include_str!("../../instructions.toml")).expect("the file is sound");
    let names: Vec<&str> = recorded.instructions.keys().map(String::as_str).collect();
    let mut known: Vec<&str> = MEASURED.iter().map(|measured| measured.name).collect();
    known.sort_unstable();
    assert_eq!(names, known);
}
