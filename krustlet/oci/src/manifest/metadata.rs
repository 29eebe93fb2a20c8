//! What a module or component says about itself, as annotations of its artifact.
//!
//! The keys are those of <https://github.com/opencontainers/image-spec/blob/main/annotations.md>. The values stand in the
//! module: its name in the section `name` or `component-name`, the others in custom sections that `wasm-tools metadata add`
//! writes.

use std::collections::BTreeMap;

use wasmparser::{
    ComponentName, ComponentNameSectionReader, CustomSectionReader, KnownCustom, Name, Parser, Payload, Result,
};

/// The longest value that is taken over, in bytes.
const LONGEST: usize = 1024;

pub(crate) const AUTHORS: &str = "org.opencontainers.image.authors";

pub(crate) const TITLE: &str = "org.opencontainers.image.title";

/// Custom sections and what they are called as annotations.
const SECTIONS: [(&str, &str); 7] = [
    ("authors", AUTHORS),
    ("description", "org.opencontainers.image.description"),
    ("homepage", "org.opencontainers.image.url"),
    ("licenses", "org.opencontainers.image.licenses"),
    ("revision", "org.opencontainers.image.revision"),
    ("source", "org.opencontainers.image.source"),
    ("version", "org.opencontainers.image.version"),
];

/// The annotations, in the order of their keys. Those of the modules and components within are their own affair.
pub(crate) fn annotations(wasm: &[u8]) -> Result<BTreeMap<&'static str, String>> {
    let mut found = BTreeMap::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 => {
                if let Some((key, value)) = annotation(&section) {
                    found.insert(key, value);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn annotation(section: &CustomSectionReader<'_>) -> Option<(&'static str, String)> {
    let (key, value) = match section.as_known() {
        KnownCustom::Name(names) => (
            TITLE,
            names.into_iter().find_map(|name| match name {
                Ok(Name::Module { name, .. }) => Some(name),
                _ => None,
            })?,
        ),
        KnownCustom::ComponentName(names) => (TITLE, component_name(names)?),
        _ => {
            let (_, key) = SECTIONS.iter().find(|(name, _)| *name == section.name())?;
            (*key, std::str::from_utf8(section.data()).ok()?)
        }
    };
    let value = value.trim();
    let fits = !value.is_empty() && value.len() <= LONGEST && !value.contains(|c: char| c.is_control());
    fits.then(|| (key, value.to_owned()))
}

fn component_name(names: ComponentNameSectionReader<'_>) -> Option<&str> {
    names.into_iter().find_map(|name| match name {
        Ok(ComponentName::Component { name, .. }) => Some(name),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(&'static str, String)> {
        annotations(&wat::parse_str(text).unwrap()).unwrap().into_iter().collect()
    }

    #[test]
    fn a_name_and_what_else_is_said_become_annotations() {
        let text = r#"(module $hello
            (@custom "version" "1.2.3") (@custom "licenses" "Apache-2.0") (@custom "authors" " me ")
            (@custom "homepage" "https://example.com/") (@custom "other" "x"))"#;
        let expected = [
            ("org.opencontainers.image.authors", "me"),
            ("org.opencontainers.image.licenses", "Apache-2.0"),
            ("org.opencontainers.image.title", "hello"),
            ("org.opencontainers.image.url", "https://example.com/"),
            ("org.opencontainers.image.version", "1.2.3"),
        ];
        assert_eq!(of(text), expected.map(|(key, value)| (key, value.to_owned())));
        // The module within has a name, too.
        let text = r#"(component $outer (core module $inner) (@custom "description" "does it"))"#;
        let expected =
            [("org.opencontainers.image.description", "does it"), ("org.opencontainers.image.title", "outer")];
        assert_eq!(of(text), expected.map(|(key, value)| (key, value.to_owned())));
    }

    #[test]
    fn what_says_nothing_or_too_much_has_no_annotations() {
        assert_eq!(of("(module)"), []);
        assert_eq!(of(r#"(module (@custom "version" "") (@custom "source" "a\nb") (@custom "authors" "\ff"))"#), []);
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(of(&format!(r#"(module (@custom "description" "{long}"))"#)), []);
    }
}
