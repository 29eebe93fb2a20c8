//! Bad and hostile HTTP requests by guests of both kinds: what each gets is `web/rows.rs`, and the table of `docs/http.md`.

use std::path::Path;

use crate::web::World;
use crate::web::rows::{Row, rows};
use futures::StreamExt;

/// How many rows run at once: some of them wait for a limit of time.
const AT_ONCE: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_the_table_gets_what_it_says() {
    let world = World::new().await;
    let wrong: Vec<String> =
        futures::stream::iter(rows()).map(|row| tried(&world, row)).buffer_unordered(AT_ONCE).concat().await;
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));

    // A connection was asked for with these and no other address, whatever was tried.
    let dialed: std::collections::BTreeSet<_> =
        world.web.dialed().iter().map(|address| address.ip().to_string()).collect();
    let expected = ["127.0.0.1", "203.0.113.1", "203.0.113.7", "203.0.113.8", "203.0.113.9"];
    assert_eq!(dialed.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert!(world.web.dialed().iter().all(|address| !address.ip().is_loopback() || address.port() == 8080));
}

/// What was different from what the row says.
async fn tried(world: &World, row: Row) -> Vec<String> {
    let words: Vec<&str> = row.words.iter().map(String::as_str).collect();
    let module = world.ask_module(row.access(), &words).await;
    let component = world.ask(&world.component, row.access(), &words).await;
    let p3 = world.ask_p3(row.access(), &words).await;
    [
        ("module", module, row.module),
        ("component", component, row.component),
        ("component of 0.3", p3, row.p3.unwrap_or(row.component)),
    ]
    .into_iter()
    .filter(|(_, actual, expected)| actual != expected)
    .map(|(kind, actual, expected)| format!("{} ({kind}): {actual:?} and not {expected:?}", row.what))
    .collect()
}

/// The cells of a table's row. Prettier pads them.
fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_matches('|').replace("\\|", "\u{0}");
    inner.split('|').map(|cell| cell.trim().replace('\u{0}', "\\|")).collect()
}

#[test]
fn the_table_of_the_docs_is_this_one() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/http.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let written: Vec<_> = text.lines().filter(|line| is_numbered(line)).map(cells).collect();
    let expected: Vec<Vec<String>> = rows()
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let code = |text: &str| format!("`{}`", text.replace('|', "\\|"));
            let allowed = match row.also {
                _ if !row.usual => "nothing".to_owned(),
                None => "the usual".to_owned(),
                Some(origin) => format!("also {}", code(origin)),
            };
            vec![
                (index + 1).to_string(),
                row.what.to_owned(),
                code(&row.request()),
                allowed,
                row.module.to_owned(),
                row.p3.map_or(row.component.to_owned(), |p3| format!("{}; 0.3: {p3}", row.component)),
            ]
        })
        .collect();
    if std::env::var_os("KRUSTLET_WRITE_TABLE").is_some() {
        for row in &expected {
            println!("| {} |", row.join(" | "));
        }
    }
    for (written, expected) in written.iter().zip(&expected) {
        assert_eq!(written, expected, "docs/http.md; KRUSTLET_WRITE_TABLE=1 prints the rows as they should be");
    }
    assert_eq!(written.len(), expected.len(), "rows of docs/http.md; KRUSTLET_WRITE_TABLE=1 prints them all");
}

fn is_numbered(line: &str) -> bool {
    line.starts_with("| ") && cells(line)[0].parse::<usize>().is_ok()
}
