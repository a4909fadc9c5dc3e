use std::cell::RefCell;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use byteorder::{BigEndian, ByteOrder};

use crate::error::Error;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Makes the unique ids (`UNIQ_KEY`) that this process gives its messages.
///
/// `ip | pid u16 | process hash u32 | milliseconds since the start of the month u32 | counter u16`, in upper-case hex: 32
/// digits, or 56 with an IPv6 address. Java counts from the start of the month in local time; this counts in UTC,
/// because the standard library knows no time zone and servers treat the id as opaque text.
pub(crate) struct UniqueIds {
    prefix: String,
}

/// One counter for the process, so that two clients with one address cannot make the same id.
static COUNTER: AtomicU16 = AtomicU16::new(0);

impl UniqueIds {
    pub(crate) fn new(ip: IpAddr) -> UniqueIds {
        // The protocol keeps the low 16 bits of the process id.
        UniqueIds::of(ip, std::process::id() as u16, process_hash())
    }

    /// As `new`, with the parts that are the process's own given.
    pub(crate) fn of(ip: IpAddr, pid: u16, process_hash: u32) -> UniqueIds {
        let mut bytes = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        bytes.extend_from_slice(&pid.to_be_bytes());
        bytes.extend_from_slice(&process_hash.to_be_bytes());
        let mut prefix = String::with_capacity(bytes.len() * 2);
        push_hex(&mut prefix, &bytes);
        UniqueIds { prefix }
    }

    pub(crate) fn next(&self) -> Arc<str> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        self.at(now, COUNTER.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn at(&self, unix_millis: u64, counter: u16) -> Arc<str> {
        thread_local! {
            /// Where ids are put together, so that each is allocated once.
            static SCRATCH: RefCell<String> = const { RefCell::new(String::new()) };
        }
        let mut tail = [0; 6];
        // A month has at most 2 678 400 000 ms, which an unsigned 32-bit number holds.
        BigEndian::write_u32(&mut tail, millis_of_month(unix_millis) as u32);
        BigEndian::write_u16(&mut tail[4..], counter);
        SCRATCH.with_borrow_mut(|id| {
            id.clear();
            id.push_str(&self.prefix);
            push_hex(id, &tail);
            id.as_str().into()
        })
    }
}

/// A random number per process, where Java puts the hash of its class loader.
fn process_hash() -> u32 {
    static HASH: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *HASH.get_or_init(|| fastrand::u32(..))
}

fn millis_of_month(unix_millis: u64) -> u64 {
    const DAY: u64 = 86_400_000;
    unix_millis % DAY + u64::from(day_of_month(unix_millis / DAY)) * DAY
}

/// Returns the day of the month, from 0, of a day counted from 1970-01-01 (the civil calendar in closed form: years are
/// counted from March, so that a leap day ends its year).
fn day_of_month(days: u64) -> u32 {
    let days = days + 719_468;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    (day_of_year - (153 * month + 2) / 5) as u32
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    }
}

/// Where a broker stored a message: its address and the position in its commit log (Java: `offsetMsgId`).
///
/// The text form is upper-case hex, 32 digits for a broker reached over IPv4 and 56 over IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OffsetMessageId {
    /// The broker's address, as the broker itself names it.
    pub store_host: SocketAddr,
    /// The position in the broker's commit log, in bytes.
    pub commit_log_offset: i64,
}

impl fmt::Display for OffsetMessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = match self.store_host.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        bytes.extend_from_slice(&u32::from(self.store_host.port()).to_be_bytes());
        bytes.extend_from_slice(&self.commit_log_offset.to_be_bytes());
        let mut text = String::with_capacity(bytes.len() * 2);
        push_hex(&mut text, &bytes);
        f.write_str(&text)
    }
}

impl FromStr for OffsetMessageId {
    type Err = Error;

    /// Reads the text form in either case; a port above 65 535 is refused, which tells most unique ids, of the same
    /// length, from offset ids.
    fn from_str(text: &str) -> Result<OffsetMessageId, Error> {
        let wrong = || Error::invalid(format!("{text:?} is not an offset message id: 32 or 56 hex digits are"));
        if !matches!(text.len(), 32 | 56) {
            return Err(wrong());
        }
        let digits: Option<Vec<u8>> =
            text.chars().map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok())).collect();
        let bytes: Vec<u8> = digits.ok_or_else(wrong)?.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        let (ip, rest) = bytes.split_at(bytes.len() - 12);
        let ip = match <[u8; 4]>::try_from(ip) {
            Ok(v4) => IpAddr::from(v4),
            Err(_) => IpAddr::from(<[u8; 16]>::try_from(ip).map_err(|_| wrong())?),
        };
        let port = u16::try_from(BigEndian::read_u32(rest)).map_err(|_| wrong())?;
        let commit_log_offset = BigEndian::read_i64(&rest[4..]);
        Ok(OffsetMessageId { store_host: SocketAddr::new(ip, port), commit_log_offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_month_starts_anew_on_its_first_day() {
        const DAY: u64 = 86_400_000;
        assert_eq!(millis_of_month(0), 0);
        assert_eq!(millis_of_month(31 * DAY), 0, "1 February 1970");
        assert_eq!(millis_of_month(31 * DAY - 1), 31 * DAY - 1);
        assert_eq!(millis_of_month(951_782_400_000), 28 * DAY, "29 February 2000");
        assert_eq!(millis_of_month(951_868_800_000), 0, "1 March 2000");
        assert_eq!(millis_of_month(1_700_000_000_123), 13 * DAY + 80_000_123, "14 November 2023, 22:13:20.123");
    }

    #[test]
    fn an_id_has_32_digits_or_56_with_an_ipv6_address_and_never_repeats() {
        let ids = UniqueIds::new("192.168.1.1".parse().unwrap());
        let id = ids.at(305_419_896, 1);
        assert!(id.starts_with("C0A80101") && id.len() == 32);
        assert!(id.ends_with("0001"));
        assert_eq!(UniqueIds::new("fd00::1".parse().unwrap()).next().len(), 56);
        assert_ne!(ids.next(), ids.next());
    }

    #[test]
    fn an_offset_id_survives_its_text_form_and_wrong_ones_are_refused() {
        for text in ["0AAF0895000078BF000000000009BB4A", "FDBDDC4100010136C800000000000024000078BF0000000000004F45"] {
            let id: OffsetMessageId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(text.to_lowercase().parse::<OffsetMessageId>().unwrap(), id);
        }
        for wrong in
            ["", "0AAF", "0AAF0895000178BF000000000009BB4A", "GAAF0895000078BF000000000009BB4A", &"é".repeat(16)]
        {
            assert!(wrong.parse::<OffsetMessageId>().is_err(), "{wrong}");
        }
    }
}
