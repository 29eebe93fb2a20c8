//! The tags of a repository, and which of them lead to a manifest
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags>).

use reqwest::Method;
use reqwest::header::LINK;
use serde::Deserialize;

use crate::OciError;
use crate::manifest;
use crate::transport::{self, Ask, Place, Target, Transport};

/// The most tags that are looked at one by one.
const MOST: usize = 500;

/// The largest page of a list, in bytes.
const PAGE_LIMIT: usize = 1 << 20;

#[derive(Deserialize)]
struct Page {
    /// Null where there is none, from some registries.
    tags: Option<Vec<String>>,
}

/// Every tag of the place's repository.
async fn all(transport: &Transport, place: &Place<'_>) -> Result<Vec<String>, OciError> {
    let reference = place.reference;
    let mut tags = Vec::new();
    let mut ask = Ask::new(Method::GET, "tags/list".into());
    loop {
        let answer = transport.get(place, &ask).await?;
        let next = answer.headers().get(LINK).and_then(|value| value.to_str().ok()).and_then(next);
        let next = next.map(|next| Transport::follow(&answer, &next, reference)).transpose();
        let next = next.map_err(|failure| failure.error)?;
        let body = transport::body(answer, PAGE_LIMIT).await.map_err(|error| OciError::from_http(error, reference))?;
        let page = body.and_then(|body| serde_json::from_slice::<Page>(&body).ok());
        let page = page.ok_or_else(|| OciError::registry(reference, "its list of tags cannot be read"))?;
        let before = tags.len();
        tags.extend(page.tags.unwrap_or_default());
        if tags.len() > MOST {
            let problem = format!("the repository has more than {MOST} tags, too many to look at each");
            return Err(OciError::registry(reference, &problem));
        }
        match next {
            // A page without a tag would lead on without an end.
            Some(next) if tags.len() > before => ask.target = Target::Address(next),
            _ => return Ok(tags),
        }
    }
}

/// The address of the next page (<https://www.rfc-editor.org/rfc/rfc8288>).
fn next(link: &str) -> Option<String> {
    link.split(',').find_map(|link| {
        let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|p| matches!(p.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then(|| address.to_owned())
    })
}

/// What else than the place's own tag leads to a manifest: other tags, and indexes with such a tag.
pub(crate) async fn others(transport: &Transport, place: &Place<'_>, digest: &str) -> Result<Vec<String>, OciError> {
    let mut found = Vec::new();
    let all = all(transport, place).await?;
    if !all.iter().any(|tag| Some(tag.as_str()) == place.reference.tag()) {
        // What one may see of it says nothing about the others.
        return Err(OciError::registry(
            place.reference,
            "its list of tags lacks this very tag, so others may be missing, too",
        ));
    }
    for tag in all {
        if Some(tag.as_str()) == place.reference.tag() {
            continue;
        }
        let Some(other) = place.reference.with_tag(&tag) else { continue };
        match manifest::leads_to(transport, &Place { reference: &other, ..*place }, digest).await {
            Ok(true) => found.push(tag),
            // Gone since it was listed.
            Ok(false) | Err(OciError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_a_link() {
        let table = [
            (r#"</v2/a/tags/list?last=b&n=2>; rel="next""#, Some("/v2/a/tags/list?last=b&n=2")),
            (r#"</x>; rel="prev", <https://r.io/y>; rel="next""#, Some("https://r.io/y")),
            ("</x>;rel=next", Some("/x")),
            (r#"</x>; rel="prev""#, None),
            ("nonsense", None),
            ("", None),
        ];
        for (link, expected) in table {
            assert_eq!(next(link).as_deref(), expected, "{link}");
        }
    }
}
