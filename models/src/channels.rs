//! Numbers per colour channel, as a person gives them.

use std::str::FromStr;

/// A number for each of three channels: one for all, or three with commas between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Channels(pub [f32; 3]);

impl FromStr for Channels {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Option<Vec<f32>> = text
            .split(',')
            .map(|number| number.trim().parse().ok().filter(|n: &f32| n.is_finite()))
            .collect();
        match numbers.as_deref() {
            Some(&[all]) => Ok(Channels([all; 3])),
            Some(&[first, second, third]) => Ok(Channels([first, second, third])),
            _ => Err("not one number or three with commas between"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_stands_for_all_and_anything_but_one_or_three_is_refused() {
        assert_eq!("127.5".parse(), Ok(Channels([127.5; 3])));
        assert_eq!("1, 2,3".parse(), Ok(Channels([1.0, 2.0, 3.0])));
        for wrong in ["", "1,2", "1,2,3,4", "x", "NaN", "inf"] {
            assert!(wrong.parse::<Channels>().is_err(), "{wrong}");
        }
    }
}
