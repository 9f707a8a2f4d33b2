//! Unix seconds as a date: the calendar that ISO 8601 prescribes, without leap seconds, as Unix time has none.

const SECONDS_PER_DAY: i64 = 86_400;

/// Days from 0000-03-01 to 1970-01-01. Years are counted from March here, so that a leap day ends its year.
const DAYS_TO_1970: i64 = 719_468;

const DAYS_PER_400_YEARS: i64 = 146_097;
const DAYS_PER_100_YEARS: i64 = 36_524;
const DAYS_PER_4_YEARS: i64 = 1_461;
const DAYS_PER_YEAR: i64 = 365;

/// Lengths of the months from March on; February is what remains.
const MONTHS_FROM_MARCH: [i64; 11] = [31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31];

/// `2023-11-14T22:13:20Z`. Any number has a date: what strangers write can lie before year 0 and after year 9999.
pub fn utc(unix_seconds: i64) -> String {
    let (year, month, day) = civil(unix_seconds.div_euclid(SECONDS_PER_DAY));
    let second = unix_seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day, of days since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let (cycle, mut day) = (days.div_euclid(DAYS_PER_400_YEARS), days.rem_euclid(DAYS_PER_400_YEARS));
    // The fourth century of a cycle and the fourth year of four are a day longer: that day is no fifth.
    let century = (day / DAYS_PER_100_YEARS).min(3);
    day -= century * DAYS_PER_100_YEARS;
    let four = day / DAYS_PER_4_YEARS;
    day -= four * DAYS_PER_4_YEARS;
    let year = (day / DAYS_PER_YEAR).min(3);
    day -= year * DAYS_PER_YEAR;
    let mut month = 3;
    for length in MONTHS_FROM_MARCH {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let year = cycle * 400 + century * 100 + four * 4 + year;
    // January and February belong to the next year of people.
    let (year, month) = if month > 12 {
        (year + 1, month - 12)
    } else {
        (year, month)
    };
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(-1), "1969-12-31T23:59:59Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(utc(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn each_day_of_eight_centuries_follows_the_day_before() {
        let mut expected = (1570, 1, 1);
        for days in -DAYS_PER_400_YEARS..DAYS_PER_400_YEARS {
            assert_eq!(civil(days), expected);
            let (year, month, day) = expected;
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (day == length, month) {
                (false, _) => (year, month, day + 1),
                (true, 12) => (year + 1, 1, 1),
                (true, _) => (year, month + 1, 1),
            };
        }
    }

    #[test]
    fn the_ends_of_time_have_a_date() {
        assert_eq!(utc(i64::MAX), "292277026596-12-04T15:30:07Z");
        assert_eq!(utc(i64::MIN), "-292277022657-01-27T08:29:52Z");
    }
}
