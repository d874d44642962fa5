//! Certificates and keys in words.

use std::fmt::Write as _;

use anyhow::bail;
use jiff::Timestamp;

use crate::identity::{PublicKey, Summary, certificates, summarise};

/// Every certificate of a PEM file, or the names of its keys when it has none.
pub(super) fn describe(pem: &[u8]) -> anyhow::Result<String> {
    let Some(ders) = certificates(pem) else { bail!("it is not PEM") };
    let mut text = String::new();
    for der in &ders {
        if !text.is_empty() {
            text.push('\n');
        }
        certificate(&mut text, &summarise(der)?)?;
    }
    if ders.is_empty() {
        for key in PublicKey::parse(pem)? {
            writeln!(text, "key          {:?}\nkid          {}", key.algorithm(), key.id())?;
        }
    }
    Ok(text)
}

fn certificate(text: &mut String, summary: &Summary) -> anyhow::Result<()> {
    writeln!(text, "subject      {}", printable(&summary.subject))?;
    match &summary.identity {
        Ok((user, groups)) => writeln!(text, "user         {user}\ngroups       {}", list(groups))?,
        Err(fault) => writeln!(text, "user         none: {fault}")?,
    }
    writeln!(text, "issuer       {}", printable(&summary.issuer))?;
    writeln!(text, "authority    {}", if summary.is_authority { "yes" } else { "no" })?;
    writeln!(text, "valid from   {}\nvalid until  {}", time(summary.not_before), time(summary.not_after))?;
    writeln!(text, "usages       {}", list(&summary.usages))?;
    writeln!(text, "names        {}", list(&summary.names))?;
    writeln!(text, "key          {}\nserial       {}", summary.key, summary.serial)?;
    let fingerprint: Vec<_> = summary.fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    writeln!(text, "sha256       {}", fingerprint.join(":"))?;
    Ok(())
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { printable(&items.join(", ")) }
}

/// A certificate is somebody else's text; a terminal must not obey it.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '?' } else { char }).collect()
}

fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}
