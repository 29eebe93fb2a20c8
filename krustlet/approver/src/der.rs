//! A reader of DER that accounts for every byte: what is skipped by one reader could be obeyed by another.

use std::fmt::Write;

pub const BOOLEAN: u8 = 0x01;
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const OBJECT_IDENTIFIER: u8 = 0x06;
pub const UTF8_STRING: u8 = 0x0c;
pub const PRINTABLE_STRING: u8 = 0x13;
pub const IA5_STRING: u8 = 0x16;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;

/// Why something is not DER, or not what it should be.
pub type Fault = String;

/// One value with its tag.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    /// Tag, length and content.
    pub raw: &'a [u8],
}

/// What is left to read.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value, of any tag below 31.
    ///
    /// # Errors
    /// When it is cut off, or its length is not written in the one way that DER allows.
    pub fn any(&mut self) -> Result<Element<'a>, Fault> {
        let cut = || "it is cut off".to_string();
        let [tag, first, rest @ ..] = self.0 else { return Err(cut()) };
        if tag & 0x1f == 0x1f {
            return Err("it has a tag that no request has".into());
        }
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x83 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f)).ok_or_else(cut)?;
                let value = length.iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
                if length[0] == 0 || value < 0x80 {
                    return Err("it has a length that is not minimal".into());
                }
                (value, rest)
            }
            _ => return Err("it has a length that DER does not know".into()),
        };
        let (content, after) = rest.split_at_checked(length).ok_or_else(cut)?;
        let raw = &self.0[..self.0.len() - after.len()];
        self.0 = after;
        Ok(Element { tag: *tag, content, raw })
    }

    /// The next value, which must be of that tag.
    ///
    /// # Errors
    /// As [`Reader::any`], and when it is of another tag.
    pub fn one(&mut self, tag: u8) -> Result<Element<'a>, Fault> {
        let found = self.any()?;
        if found.tag == tag { Ok(found) } else { Err(format!("tag {:#04x} stands where {tag:#04x} should", found.tag)) }
    }

    /// A reader of what is in the next value, which must be of that tag.
    ///
    /// # Errors
    /// As [`Reader::one`].
    pub fn within(&mut self, tag: u8) -> Result<Self, Fault> {
        self.one(tag).map(|element| Self(element.content))
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// When something is.
    pub fn end(self) -> Result<(), Fault> {
        if self.0.is_empty() { Ok(()) } else { Err("there is more in it than there should be".into()) }
    }
}

/// An object identifier in dots: `2.5.4.3`.
///
/// # Errors
/// When it is none.
pub fn identifier(content: &[u8]) -> Result<String, Fault> {
    let fault = || "it has an object identifier that is none".to_string();
    if content.last().is_none_or(|byte| byte & 0x80 != 0) {
        return Err(fault());
    }
    let mut text = String::new();
    let (mut value, mut begins) = (0_u64, true);
    for byte in content {
        if (begins && *byte == 0x80) || value > u64::MAX >> 7 {
            return Err(fault());
        }
        value = value << 7 | u64::from(byte & 0x7f);
        begins = byte & 0x80 == 0;
        if !begins {
            continue;
        }
        // Writing to a string cannot fail.
        let _ = match text.is_empty() {
            true => write!(text, "{}.{}", (value / 40).min(2), value - 40 * (value / 40).min(2)),
            false => write!(text, ".{value}"),
        };
        value = 0;
    }
    Ok(text)
}

/// The whole bytes of a BIT STRING.
///
/// # Errors
/// When the last byte is not whole.
pub fn bits(content: &[u8]) -> Result<&[u8], Fault> {
    match content {
        [0, bytes @ ..] => Ok(bytes),
        _ => Err("it has a bit string of broken bytes".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_told_in_dots_and_in_one_way_alone() {
        let table: [(&[u8], Option<&str>); 7] = [
            (&[0x55, 4, 3], Some("2.5.4.3")),
            (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14], Some("1.2.840.113549.1.9.14")),
            (&[0x88, 0x37], Some("2.999")),
            (&[0x2b], Some("1.3")),
            (&[], None),
            (&[0x55, 0x84], None),
            (&[0x55, 0x80, 0x04], None),
        ];
        for (bytes, expected) in table {
            assert_eq!(identifier(bytes).ok().as_deref(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn lengths_are_minimal_and_within_what_is_there() {
        let long = [&[0x04, 0x81, 0x80][..], &[7; 0x80]].concat();
        let table: [(&[u8], Result<usize, &str>); 8] = [
            (&[0x04, 1, 7], Ok(1)),
            (&long, Ok(0x80)),
            (&[0x04, 0x81, 1, 7], Err("it has a length that is not minimal")),
            (&[0x04, 0x82, 0, 1, 7], Err("it has a length that is not minimal")),
            (&[0x04, 0x80, 7, 0, 0], Err("it has a length that DER does not know")),
            (&[0x04, 2, 7], Err("it is cut off")),
            (&[0x04], Err("it is cut off")),
            (&[0x1f, 0x20, 0], Err("it has a tag that no request has")),
        ];
        for (bytes, expected) in table {
            let found = Reader::new(bytes).any().map(|element| element.content.len());
            assert_eq!(found, expected.map_err(str::to_string), "{bytes:?}");
        }
    }
}
