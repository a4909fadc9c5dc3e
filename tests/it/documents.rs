//! Documents name the tests that show what they say; this checks that those exist and that nothing stands there unshown.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const DEMANDS: u32 = 84;

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// The cells of a document's tables, line by line, heads and rules left out.
fn table_rows(path: &str, columns: usize) -> Vec<Vec<String>> {
    let text = read(path).unwrap_or_else(|| panic!("{path} is there"));
    let cells = text
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
    let rows: Vec<_> = cells.filter(|cells| cells.iter().any(|cell| !cell.starts_with("---"))).collect();
    for row in &rows {
        assert_eq!(row.len(), columns, "{path}: {row:?}");
    }
    rows
}

/// The cells of the one table with this head.
fn table_rows_of(path: &str, head: &str, columns: usize) -> Vec<Vec<String>> {
    let text = read(path).unwrap_or_else(|| panic!("{path} is there"));
    let lines = text.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows: Vec<_> = lines.take_while(|line| line.starts_with("| ")).map(cells).collect();
    assert!(rows.iter().all(|row| row.len() == columns), "{path}: {rows:?}");
    rows
}

/// The tests a cell names, each `path::name` between backticks.
fn tests(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether a file has a test of this name: the function, directly below its attribute, or one of the list of faults.
fn has_test(path: &str, name: &str) -> bool {
    let Some(text) = read(path) else { return false };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    if path.starts_with("tests/faults/") {
        let list = read("tests/faults/main.rs").unwrap_or_default();
        let listed = list.lines().any(|line| line.trim().trim_end_matches(';') == name);
        return listed && lines.iter().any(|line| line.starts_with(&format!("pub(crate) fn {name}()")));
    }
    let head = format!("fn {name}()");
    lines.windows(2).any(|pair| pair[0] == "#[test]" && pair[1].starts_with(&head))
}

fn missing(cell: &str) -> Vec<String> {
    let exists = |test: &&str| test.split_once("::").is_some_and(|(path, name)| has_test(path, name));
    tests(cell).filter(|test| !exists(test)).map(str::to_owned).collect()
}

#[test]
fn every_demand_has_a_row_with_tests_or_says_that_it_comes_later() {
    let mut rows = BTreeMap::new();
    for row in table_rows("docs/requirements.md", 4) {
        let Ok(number) = row[0].parse::<u32>() else { continue };
        assert!(tests(&row[3]).next().is_some() || row[2].starts_with("Later"), "row {number} names no test");
        assert_eq!(missing(&row[3]), [""; 0], "row {number}");
        assert!(rows.insert(number, row).is_none(), "row {number} stands there twice");
    }
    assert_eq!(rows.into_keys().collect::<Vec<_>>(), (1..=DEMANDS).collect::<Vec<_>>());
}

#[test]
fn every_promise_names_tests_that_exist() {
    let rows = table_rows("docs/guarantees.md", 2);
    let promises: Vec<_> = rows.iter().filter(|row| row[0] != "promise").collect();
    assert!(promises.len() > 20, "{}", promises.len());
    for row in promises {
        assert!(tests(&row[1]).next().is_some(), "no test shows: {}", row[0]);
        assert_eq!(missing(&row[1]), [""; 0], "{}", row[0]);
    }
}

#[test]
fn every_limit_names_a_test_that_exists() {
    let rows: Vec<_> = table_rows_of("docs/security.md", "| setter |", 6);
    assert!(rows.len() == 13, "{}", rows.len());
    for row in rows {
        assert!(tests(&row[5]).next().is_some(), "no test shows: {}", row[0]);
        assert_eq!(missing(&row[5]), [""; 0], "{}", row[0]);
    }
}

/// Tests build their clients where each gets the secret that `.ci/secrets` looks for; those of access control have their own.
#[test]
fn no_test_builds_a_client_without_the_secret_that_is_searched_for() {
    let (mut folders, mut bare) = (vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let shown = path.display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if ["builder()", "connect("]
                .iter()
                .any(|end| read(&shown).unwrap().contains(&format!("Client::{end}")))
            {
                bare.push(shown);
            }
        }
    }
    let may = ["/it/acl.rs", "/it/acl_admin.rs", "/it/acl/", "/support/trace_log.rs"];
    bare.retain(|path| !may.iter().any(|part| path.contains(part)));
    assert_eq!(bare, [""; 0]);
}

#[test]
fn a_test_that_does_not_exist_is_noticed() {
    assert!(has_test("tests/it/documents.rs", "a_test_that_does_not_exist_is_noticed"));
    assert!(!has_test("tests/it/documents.rs", "no_such_test") && !has_test("no/such/file.rs", "x"));
    assert!(!has_test("tests/it/documents.rs", "missing"), "a function without the attribute is no test");
    assert!(!has_test("tests/faults/late.rs", "ways"), "a function that is not listed is no fault test");
}
