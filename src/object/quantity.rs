//! Kubernetes quantities (`500m`, `8Gi`, `1e3`), which the API server rewrites: `1000m` comes back as `1`.

/// Whether two texts are the same quantity; texts that are none are the same only if equal.
pub fn same(one: &str, two: &str) -> bool {
    match (nano(one), nano(two)) {
        (Some(one), Some(two)) => one == two,
        _ => false,
    }
}

/// The quantity in billionths; `None` where it is none, is negative, or is beyond what Kubernetes can hold.
fn nano(text: &str) -> Option<i128> {
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0
        || whole.len() > 18
        || fraction.len() > 9
        || fraction.contains('.')
    {
        return None;
    }
    let digits: i128 = format!("0{whole}{fraction:0<9}").parse().ok()?;
    let (times, over) = factor(suffix)?;
    digits.checked_mul(times).map(|product| product / over)
}

fn factor(suffix: &str) -> Option<(i128, i128)> {
    let binary = |power: u32| Some((1024_i128.pow(power), 1));
    match suffix {
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "" => Some((1, 1)),
        "k" => Some((1000, 1)),
        "M" => Some((1_000_000, 1)),
        "G" => Some((1_000_000_000, 1)),
        "T" => Some((1_000_000_000_000, 1)),
        "P" => Some((1_000_000_000_000_000, 1)),
        "E" => Some((1_000_000_000_000_000_000, 1)),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = 10_i128
                .checked_pow(exponent.unsigned_abs())
                .filter(|_| exponent.unsigned_abs() <= 18)?;
            Some(if exponent < 0 { (1, power) } else { (power, 1) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{nano, same};

    #[test]
    fn the_servers_spelling_is_the_same_quantity() {
        for (one, two) in [
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("0.5", "500m"),
            ("1e3", "1k"),
            ("4", "4"),
            ("1.5Gi", "1536Mi"),
        ] {
            assert!(same(one, two), "{one} {two}");
        }
        assert!(!same("1G", "1Gi"));
        assert!(!same("baseline", "baseline"));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "-1", "1 Gi", "Gi", "1gi", "1.2.3", "1e", "ten"] {
            assert_eq!(nano(text), None, "{text}");
        }
    }
}
