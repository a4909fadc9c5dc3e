//! `docs/requirements.md` names a test for each demand; this checks that it is complete and the tests are there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const DEMANDS: u32 = 84;

struct Row {
    here: String,
    tests: Vec<String>,
}

fn rows() -> BTreeMap<u32, Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/requirements.md");
    let text = fs::read_to_string(path).expect("docs/requirements.md is there");
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, number, _, here, tests, _] = cells[..] else { continue };
        let Ok(number) = number.parse() else { continue };
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let former = rows.insert(number, Row { here: here.to_owned(), tests });
        assert!(former.is_none(), "row {number} stands there twice");
    }
    rows
}

/// Whether a file has a test of this name: the function, directly below its attribute.
fn has_test(path: &str, name: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let Ok(text) = fs::read_to_string(path) else { return false };
    let head = format!("fn {name}()");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.windows(2).any(|pair| pair[0] == "#[test]" && pair[1].starts_with(&head))
}

#[test]
fn every_demand_has_a_row_with_tests_or_says_that_it_comes_later() {
    let rows = rows();
    let numbers: Vec<u32> = rows.keys().copied().collect();
    assert_eq!(numbers, (1..=DEMANDS).collect::<Vec<_>>());
    for (number, row) in rows {
        assert!(!row.tests.is_empty() || row.here.starts_with("Later"), "row {number} names no test");
    }
}

#[test]
fn every_test_that_is_named_exists() {
    let mut missing = Vec::new();
    for (number, row) in rows() {
        for test in row.tests {
            match test.split_once("::") {
                Some((path, name)) if has_test(path, name) => {}
                _ => missing.push(format!("{number}: {test}")),
            }
        }
    }
    assert!(missing.is_empty(), "these do not exist:\n{}", missing.join("\n"));
    assert!(!has_test("tests/it/requirements.rs", "no_such_test") && !has_test("no/such/file.rs", "x"));
}
