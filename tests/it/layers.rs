//! The layers of the design, and where threads are made, read from the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of the crate a module may use, besides itself. Tests are not looked at.
const MAY_USE: &[(&str, &str)] = &[
    ("code", ""),
    ("error", "code"),
    ("thread", "error code"),
    ("channel", ""),
    ("sorted", ""),
    ("job_queue", ""),
    ("message", "error code thread"),
    ("protocol", "error code thread sorted message"),
    ("remoting", "error code thread message protocol"),
    ("client", "error code thread channel sorted job_queue message protocol remoting"),
    ("trace", "error code thread channel sorted message protocol remoting client"),
    ("producer", "error code thread channel sorted message protocol remoting client trace"),
    ("consumer", "error code thread channel sorted job_queue message protocol remoting client trace"),
    ("admin", "error code thread channel sorted message protocol remoting client trace"),
    ("embedded", "error code thread message protocol"),
];

/// Not part of any layer: the module list, the guide, and what opens internals to the crate's own benchmarks and fuzz targets.
const OUTSIDE: &[&str] = &["lib", "guide", "bench", "fuzz"];

/// The only module that makes threads.
const SPAWNS: &str = "thread";

/// A source file without its tests, comments and string literals.
struct Source {
    path: PathBuf,
    /// The module below `src` it belongs to.
    module: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    let tests: Vec<PathBuf> = paths.iter().flat_map(|path| test_modules(path)).collect();
    let mut sources = Vec::new();
    for path in paths {
        if tests.iter().any(|test| path == test.with_extension("rs") || path.starts_with(test)) {
            continue;
        }
        let relative = path.strip_prefix(&root).unwrap().to_owned();
        let first = relative.iter().next().unwrap();
        let module = first.to_str().unwrap().trim_end_matches(".rs").to_owned();
        // The command line uses the public interface.
        if module == "bin" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        sources.push(Source { path: relative, module, code: code_of(&text) });
    }
    assert!(sources.len() > 50, "only {} sources were found", sources.len());
    sources
}

/// The files, without their ending, or folders of the modules that a file declares for tests only.
fn test_modules(path: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_stem().unwrap();
    let folder = if ["mod", "lib", "main"].iter().any(|root| name == *root) {
        path.parent().unwrap().to_owned()
    } else {
        path.with_extension("")
    };
    let lines: Vec<&str> = text.lines().collect();
    let declared = lines.windows(2).filter(|pair| pair[0].trim() == "#[cfg(test)]").filter_map(|pair| {
        let (_, name) = pair[1].split_once("mod ")?;
        name.strip_suffix(';')
    });
    declared.map(|name| folder.join(name)).collect()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    into.sort();
}

/// The code that is part of the crate: up to the tests at the end of the file, without comments and texts.
fn code_of(text: &str) -> String {
    let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let mut code = String::new();
    for line in text[..end].lines() {
        let line = line.trim();
        if !line.starts_with("//") {
            code.push_str(&without_texts(line));
            code.push('\n');
        }
    }
    code
}

fn without_texts(line: &str) -> String {
    let (mut code, mut in_text, mut escaped) = (String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' if !escaped => in_text = !in_text,
            _ if !in_text => code.push(c),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    code.split("// ").next().unwrap_or_default().to_owned()
}

/// The modules of the crate that a piece of code names as `crate::module`, also in `crate::{one::…, two::…}`.
fn uses(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => found.extend(members(list).iter().map(|member| first_word(member))),
            None => found.push(first_word(rest)),
        }
    }
    found
}

/// The members of a `use` list, up to the brace that closes it.
fn members(list: &str) -> Vec<String> {
    let (mut depth, mut members) = (0, vec![String::new()]);
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(String::new()),
            _ => members.last_mut().unwrap().push(c),
        }
    }
    members.retain(|member| !member.trim().is_empty());
    members
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// What re-exports at the root stand for: `crate::Error` is `crate::error::Error`.
fn home(name: &str) -> &str {
    match name {
        "Error" | "Outcome" | "Result" => "error",
        "ResponseCode" | "RequestCode" => "code",
        other => other,
    }
}

#[test]
fn every_use_points_to_a_lower_layer() {
    let mut wrong = Vec::new();
    for source in sources() {
        if OUTSIDE.contains(&&*source.module) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(module, _)| *module == source.module) else {
            panic!("{} is in no layer of the design", source.path.display());
        };
        for used in uses(&source.code) {
            let used = home(&used);
            if used != source.module && !allowed.split(" ").any(|allowed| allowed == used) {
                wrong.push(format!("{} uses crate::{used}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the layers:\n{}", wrong.join("\n"));
}

#[test]
fn threads_are_made_in_one_place_and_nothing_sleeps() {
    let mut wrong = Vec::new();
    for source in sources() {
        let spawns = ["thread::spawn", "Builder::new().spawn", "thread::Builder"];
        // The threads of models are loom's.
        let code = source.code.replace("loom::thread::spawn", "");
        let spawned = source.module != SPAWNS && spawns.iter().any(|call| code.contains(call));
        if spawned || code.contains("thread::sleep") {
            wrong.push(source.path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "these make threads or sleep:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let mut long = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join("src"), &mut paths);
    for path in paths {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        if lines > 600 {
            long.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn this_test_sees_what_it_looks_for() {
    assert_eq!(uses("use crate::remoting::Deadline;\nlet x = crate::client::y();"), ["remoting", "client"]);
    assert_eq!(uses("use crate::{error::{Error, Result}, protocol::frame};"), ["error", "protocol"]);
    assert_eq!(uses("use other_crate::remoting;\npub(crate) fn x();"), Vec::<String>::new());
    assert_eq!(
        code_of("let a = 1; // crate::remoting\n/// crate::x\nlet b = \"crate::y\";\n"),
        "let a = 1; \nlet b = ;\n"
    );
    assert_eq!(code_of("a\n#[cfg(test)]\nmod tests {\n use crate::remoting; }"), "a\n");
}
