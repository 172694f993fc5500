//! Whether a text is a value of its key's kind.

use std::net::IpAddr;

use proto_core::delay::DelayLevels;
use store::DeleteWhen;

use super::key::Kind;

/// Most bytes of a broker's or cluster's name: with `brokerTopicEnable` and `clusterTopicEnable` it is the name of a topic, too.
const MAX_NAME_LEN: usize = 127;

/// Checks a value.
///
/// # Errors
/// What was expected instead.
pub(super) fn check(kind: &Kind, value: &str) -> Result<(), String> {
    let fine = match kind {
        Kind::Text => true,
        Kind::Name => (1..=MAX_NAME_LEN).contains(&value.len()) && !value.contains(|c: char| c.is_whitespace() || c.is_control()),
        Kind::Path => !value.is_empty() && !value.contains([',', '\0']),
        Kind::Switch => switch(value).is_some(),
        Kind::Whole(range) => whole(value).is_some_and(|number| range.contains(&number)),
        Kind::Multiple(unit, range) => whole(value).is_some_and(|number| range.contains(&number) && number % unit == 0),
        Kind::Decimal => value.parse::<f64>().is_ok_and(f64::is_finite),
        Kind::Choice(words) => words.contains(&value),
        Kind::Address => value.parse::<IpAddr>().is_ok(),
        Kind::Host => value.parse::<IpAddr>().is_ok() || is_host_name(value),
        Kind::Addresses => addresses(value),
        Kind::DelayLevels => return DelayLevels::parse(value).map(drop).map_err(|why| format!("levels such as 1s 5s 2m ({why})")),
        Kind::Hours => return DeleteWhen::parse(value).map(drop),
    };
    if fine { Ok(()) } else { Err(expected(kind)) }
}

/// A switch's value, however it is capitalised.
pub(super) fn switch(value: &str) -> Option<bool> {
    match () {
        () if value.eq_ignore_ascii_case("true") => Some(true),
        () if value.eq_ignore_ascii_case("false") => Some(false),
        () => None,
    }
}

/// A whole number's value.
pub(super) fn whole(value: &str) -> Option<i64> {
    value.parse().ok()
}

fn addresses(list: &str) -> bool {
    list.split(';').map(str::trim).filter(|address| !address.is_empty()).all(|address| {
        let Some((host, port)) = address.rsplit_once(':') else { return false };
        !host.is_empty() && !host.contains(char::is_whitespace) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// Whether a host could have this name; addresses that went wrong, such as `300.1.1.1`, are none.
fn is_host_name(text: &str) -> bool {
    let fits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    text.split('.').all(fits) && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn expected(kind: &Kind) -> String {
    match kind {
        Kind::Text => "a text".to_owned(),
        Kind::Name => format!("a name without spaces and control characters, of at most {MAX_NAME_LEN} bytes"),
        Kind::Path => "one path".to_owned(),
        Kind::Switch => "true or false".to_owned(),
        Kind::Whole(range) => format!("a whole number{}", bounds(*range.start(), *range.end())),
        Kind::Multiple(unit, range) => format!("a multiple of {unit}{}", bounds(*range.start(), *range.end())),
        Kind::Decimal => "a number".to_owned(),
        Kind::Choice(words) => words.join(" or "),
        Kind::Address => "an IP address".to_owned(),
        Kind::Host => "an IP address or the name of a host".to_owned(),
        Kind::Addresses => "addresses such as host:9876, separated by ;".to_owned(),
        Kind::DelayLevels => "levels such as 1s 5s 2m".to_owned(),
        Kind::Hours => "hours of the day such as 04;16".to_owned(),
    }
}

fn bounds(least: i64, most: i64) -> String {
    if (least, most) == (i64::MIN, i64::MAX) { String::new() } else { format!(" from {least} to {most}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_outside_its_range_says_what_is_expected() {
        assert_eq!(check(&Kind::Whole(0..=7), "8"), Err("a whole number from 0 to 7".to_owned()));
        assert_eq!(check(&Kind::Whole(0..=7), "seven"), Err("a whole number from 0 to 7".to_owned()));
        assert_eq!(check(&Kind::Whole(0..=7), "7"), Ok(()));
    }

    #[test]
    fn a_size_that_is_no_multiple_is_wrong() {
        assert_eq!(check(&Kind::Multiple(20, 20..=1000), "110"), Err("a multiple of 20 from 20 to 1000".to_owned()));
        assert_eq!(check(&Kind::Multiple(20, 20..=1000), "120"), Ok(()));
    }

    #[test]
    fn switches_are_true_or_false_in_any_case() {
        assert_eq!((switch("TRUE"), switch("false"), switch("yes")), (Some(true), Some(false), None));
    }

    #[test]
    fn a_host_is_an_address_or_a_name() {
        for fine in ["10.0.0.1", "::1", "localhost", "broker-1.example.org"] {
            assert_eq!(check(&Kind::Host, fine), Ok(()), "{fine}");
        }
        for wrong in ["300.1.1.1", "a b", "broker:10911", "", "a..b", "10.0.0"] {
            assert!(check(&Kind::Host, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_short_and_has_nothing_invisible_in_it() {
        for fine in ["broker-a", "DefaultCluster", "r\u{e9}gion", &"a".repeat(127)] {
            assert_eq!(check(&Kind::Name, fine), Ok(()), "{fine}");
        }
        for wrong in ["", "a b", "a\0b", "a\u{1b}[31m", &"a".repeat(128)] {
            assert!(check(&Kind::Name, wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn addresses_need_hosts_and_ports() {
        for fine in ["localhost:9876", "10.0.0.1:9876;[::1]:9877;", ""] {
            assert_eq!(check(&Kind::Addresses, fine), Ok(()), "{fine}");
        }
        for wrong in ["localhost", "localhost:0", ":9876", "a:1;b"] {
            assert!(check(&Kind::Addresses, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bad_delay_level_is_named() {
        let why = check(&Kind::DelayLevels, "1s 5x").unwrap_err();
        assert!(why.contains("5x"), "{why}");
    }
}
