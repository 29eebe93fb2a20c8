//! A login that is given with the command: the user as an argument, the password on standard input, where neither the list of
//! processes nor the shell's history has it.

use std::io::{IsTerminal, Read};

/// The longest password, in bytes. A key of a service account has some 2500.
const LIMIT: u64 = 64 * 1024;

/// Why a login cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error(
        "--username wants --password-stdin, and the password on standard input: printf %s \"$PASSWORD\" | wasm-oci …"
    )]
    NoPassword,
    #[error("--password-stdin wants --username: whose password it is")]
    NoUser,
    #[error("{0}; pipe it in: printf %s \"$PASSWORD\" | wasm-oci … --password-stdin")]
    Input(String),
}

/// User and password, if the command line asks for such a login.
pub(crate) fn given(username: Option<String>, password_stdin: bool) -> Result<Option<(String, String)>, LoginError> {
    match (username.filter(|user| !user.is_empty()), password_stdin) {
        (None, false) => Ok(None),
        (Some(_), false) => Err(LoginError::NoPassword),
        (None, true) => Err(LoginError::NoUser),
        (Some(user), true) => {
            let stdin = std::io::stdin();
            if stdin.is_terminal() {
                return Err(LoginError::Input("a password that is typed would be shown".into()));
            }
            Ok(Some((user, password(stdin.lock())?)))
        }
    }
}

/// The whole input but for one line's end, which `echo` and editors add. A password may have lines of its own.
fn password(input: impl Read) -> Result<String, LoginError> {
    let mut text = String::new();
    let read = input.take(LIMIT + 1).read_to_string(&mut text);
    read.map_err(|error| LoginError::Input(format!("standard input cannot be read: {}", error.kind())))?;
    if text.len() as u64 > LIMIT {
        return Err(LoginError::Input(format!("what is on standard input has more than {LIMIT} bytes")));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line.is_empty() {
        true => Err(LoginError::Input("there is no password on standard input".into())),
        false => Ok(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_input_without_the_last_lines_end() {
        let table = [
            ("hunter2", Some("hunter2")),
            ("hunter2\n", Some("hunter2")),
            ("hunter2\r\n", Some("hunter2")),
            ("hunter2\n\n", Some("hunter2\n")),
            (" a b ", Some(" a b ")),
            ("{\n  \"type\": \"service_account\"\n}\n", Some("{\n  \"type\": \"service_account\"\n}")),
            ("", None),
            ("\n", None),
        ];
        for (input, expected) in table {
            assert_eq!(password(input.as_bytes()).ok().as_deref(), expected, "{input:?}");
        }
        assert!(password(&[0xff, 0xfe][..]).is_err());
        assert!(password("x".repeat(70_000).as_bytes()).is_err());
    }

    #[test]
    fn user_and_password_come_together_or_not_at_all() {
        assert!(matches!(given(None, false), Ok(None)));
        assert!(matches!(given(Some("me".into()), false), Err(LoginError::NoPassword)));
        for user in [None, Some(String::new())] {
            assert!(matches!(given(user, true), Err(LoginError::NoUser)));
        }
    }
}
