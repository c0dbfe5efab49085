//! Accounts: who they are (drawn from their number, not stored), what they changed, and their log-in sessions.

use super::cart::Cart;
use super::support::Thread;
use crate::chance::{Chance, fixed, mix};
use crate::ids::{ProductId, UserId};
use crate::text::{self, LOCALES, Locale};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use std::sync::Arc;

const ACCESS_TTL_MS: i64 = 60 * 60 * 1000;
const REFRESH_TTL_MS: i64 = 14 * 24 * 60 * 60 * 1000;
const MAX_FAILURES: u8 = 8;
const LOCK_MS: i64 = 15 * 60 * 1000;
/// Accounts that work for the shop.
const STAFF: u32 = 12;

/// A token as a client holds it.
#[derive(Debug, Clone)]
pub(crate) struct Bearer {
    /// The access token as it stands in the header.
    pub(crate) text: Arc<str>,
    /// The refresh token.
    pub(crate) refresh: Arc<str>,
    /// The account as an opaque subject, hex.
    pub(crate) subject: Arc<str>,
    pub(crate) user: UserId,
    /// The log-in session; stays the same when the token is refreshed.
    pub(crate) login: u64,
    /// When the access token ends, epoch milliseconds.
    pub(crate) expires: i64,
}

/// Who somebody is: fixed by the seed and the number of the account.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) first: &'static str,
    pub(crate) last: &'static str,
    pub(crate) email: String,
    pub(crate) phone: String,
    pub(crate) locale: &'static Locale,
    pub(crate) password: String,
    pub(crate) birthday: String,
}

/// An address of an account.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) id: u32,
    pub(super) street: String,
    pub(super) zip: String,
    pub(super) city: String,
    pub(super) label: String,
}

/// What an account has and changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct User {
    pub(crate) staff: bool,
    pub(super) failures: u8,
    pub(super) locked_until: i64,
    pub(super) reset_token: Option<String>,
    pub(super) nickname: Option<String>,
    pub(super) newsletter: bool,
    pub(super) addresses: Vec<Address>,
    /// Numbers of the latest orders, newest last.
    pub(super) orders: Vec<u32>,
    pub(super) wishes: Vec<ProductId>,
    pub(super) cart: Cart,
    pub(super) threads: Vec<Thread>,
    pub(super) unread: u16,
    /// Fields that came in through a profile update and should not have.
    pub(super) assigned: Vec<(String, String)>,
}

impl User {
    /// Addresses on file.
    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }
}

#[derive(Debug, Clone, Copy)]
struct Login {
    user: UserId,
    generation: u32,
    refreshable_until: i64,
}

/// The table of accounts and of log-in sessions.
#[derive(Debug)]
pub(crate) struct Accounts {
    seed: u64,
    users: Vec<User>,
    cap: usize,
    logins: BTreeMap<u64, Login>,
    next_login: u64,
    next_address: u32,
}

impl Accounts {
    /// `count` accounts with their addresses; the first few work for the shop.
    pub(super) fn new(seed: u64, count: u32, chance: &mut Chance) -> Self {
        let mut accounts = Self {
            seed,
            users: Vec::with_capacity(count as usize),
            cap: count as usize * 2,
            logins: BTreeMap::new(),
            next_login: 1,
            next_address: 50_231,
        };
        for n in 0..count.max(STAFF + 1) {
            let user = User { staff: n < STAFF, newsletter: chance.hit(0.3), unread: chance.below(4) as u16, ..User::default() };
            accounts.users.push(user);
            for _ in 0..chance.weighted(&[(1, 70), (2, 25), (3, 5)]) {
                accounts.add_address(UserId(n), chance);
            }
        }
        accounts
    }

    /// Number of accounts.
    pub(crate) fn len(&self) -> u32 {
        self.users.len() as u32
    }

    /// Number of accounts that work for the shop; they come first.
    pub(crate) fn staff(&self) -> u32 {
        STAFF
    }

    /// Any account.
    pub(crate) fn anybody(&self, chance: &mut Chance) -> UserId {
        UserId(chance.below(self.users.len()) as u32)
    }

    /// Any account that does not work for the shop.
    pub(crate) fn any_customer(&self, chance: &mut Chance) -> UserId {
        UserId(STAFF + chance.below(self.users.len() - STAFF as usize) as u32)
    }

    /// An account, if there is one.
    pub(crate) fn get(&self, user: UserId) -> Option<&User> {
        self.users.get(user.0 as usize)
    }

    /// An account, to change it.
    pub(super) fn get_mut(&mut self, user: UserId) -> Option<&mut User> {
        self.users.get_mut(user.0 as usize)
    }

    /// One more account; none when the table is full.
    pub(super) fn register(&mut self) -> Option<UserId> {
        if self.users.len() >= self.cap {
            return None;
        }
        self.users.push(User::default());
        Some(UserId(self.len() - 1))
    }

    /// The number of the account that registers next.
    pub(crate) fn next(&self) -> UserId {
        UserId(self.len())
    }

    /// Puts a made-up address on file.
    pub(super) fn add_address(&mut self, user: UserId, chance: &mut Chance) -> u32 {
        let locale = self.identity(user).locale;
        let street = text::street(chance, locale);
        let (city, zip) = (chance.pick(locale.cities).to_owned(), text::zip(locale, chance.bits()));
        self.put_address(user, Address { id: 0, street, zip, city, label: "home".to_owned() })
    }

    /// Puts an address on file (at most eight, then the oldest goes) and gives its number.
    pub(super) fn put_address(&mut self, user: UserId, address: Address) -> u32 {
        self.next_address += 1 + (mix(self.seed, u64::from(self.next_address)) % 3) as u32;
        let id = self.next_address;
        if let Some(user) = self.get_mut(user) {
            if user.addresses.len() >= 8 {
                user.addresses.remove(0);
            }
            user.addresses.push(Address { id, ..address });
        }
        id
    }

    /// Key from which fixed things of an account are drawn.
    pub(crate) fn key(&self, user: UserId) -> u64 {
        mix(self.seed, u64::from(user.0))
    }

    /// Who the account belongs to.
    pub(crate) fn identity(&self, user: UserId) -> Identity {
        let key = self.key(user);
        // Two numbers, the smaller taken: the first language areas are the largest.
        let n = LOCALES.len() as u64;
        let locale = &LOCALES[(key % n).min((key >> 8) % n) as usize];
        let first = fixed(key >> 16, locale.first);
        let last = fixed(key >> 24, locale.last);
        let digits = key >> 32;
        let mailbox: String =
            format!("{first}.{last}").chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').collect::<String>().to_ascii_lowercase();
        Identity {
            first,
            last,
            email: format!(
                "{}{}@{}",
                mailbox.trim_matches('.'),
                user.number(),
                fixed(key >> 40, &["mail.example", "post.example", "inbox.example", "web.example"])
            ),
            phone: format!("{}{:09}", locale.dial, digits % 1_000_000_000),
            locale,
            password: format!(
                "{}{:03}{}",
                fixed(key >> 20, &["Sommer", "blue-Tiger", "kaffee", "Pa$$word", "l'amour", "qwertz", "Dragon", "correct horse "]),
                digits % 997,
                fixed(key >> 12, &["!", "", "#", "?x", "..", "-ok"])
            ),
            birthday: format!("{}-{:02}-{:02}", 1950 + key % 55, 1 + (key >> 8) % 12, 1 + (key >> 12) % 28),
        }
    }

    /// The account of a mail address.
    pub(super) fn of_email(&self, email: &str) -> Option<UserId> {
        let mailbox = email.split('@').next()?;
        let digits = mailbox.len() - mailbox.bytes().rev().take_while(u8::is_ascii_digit).count();
        let user = UserId::of_number(mailbox[digits..].parse().ok()?)?;
        (self.get(user).is_some() && self.identity(user).email == email).then_some(user)
    }

    /// Whether the account takes log-ins now.
    pub(super) fn is_locked(&self, user: UserId, now: i64) -> bool {
        self.get(user).is_some_and(|u| u.locked_until > now)
    }

    /// Counts a wrong password; locks the account after too many.
    pub(super) fn failed(&mut self, user: UserId, now: i64) {
        if let Some(user) = self.get_mut(user) {
            user.failures += 1;
            if user.failures >= MAX_FAILURES {
                user.failures = 0;
                user.locked_until = now + LOCK_MS;
            }
        }
    }

    /// Opens a log-in session.
    pub(super) fn log_in(&mut self, user: UserId, now: i64) -> Bearer {
        if let Some(user) = self.get_mut(user) {
            user.failures = 0;
        }
        if self.logins.len() > self.cap {
            self.logins.pop_first();
        }
        let id = self.next_login;
        self.next_login += 1;
        let login = Login { user, generation: 0, refreshable_until: now + REFRESH_TTL_MS };
        self.logins.insert(id, login);
        self.bearer(id, login, now)
    }

    /// A fresh access token for a refresh token.
    pub(super) fn refresh(&mut self, token: &str, now: i64) -> Option<Bearer> {
        let id = u64::from_str_radix(token.get(3..13)?, 16).ok()?;
        let login = *self.logins.get(&id)?;
        if login.refreshable_until < now || self.refresh_token(id, login) != token {
            return None;
        }
        let next = Login { generation: login.generation + 1, ..login };
        self.logins.insert(id, next);
        Some(self.bearer(id, next, now))
    }

    /// Ends a log-in session.
    pub(super) fn log_out(&mut self, login: u64) {
        self.logins.remove(&login);
    }

    /// The account that a token stands for, while it is valid.
    pub(super) fn who(&self, bearer: Option<&Bearer>, now: i64) -> Option<UserId> {
        let bearer = bearer?;
        let login = self.logins.get(&bearer.login)?;
        (bearer.expires > now && login.user == bearer.user).then_some(login.user)
    }

    fn refresh_token(&self, id: u64, login: Login) -> String {
        let secret = mix(mix(self.seed, id), u64::from(login.generation));
        format!("rt_{id:010x}{secret:016x}{:016x}", mix(secret, 1))
    }

    fn bearer(&self, id: u64, login: Login, now: i64) -> Bearer {
        const HEADER: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InNob3AtMjAyNi0wMSJ9";
        let (user, key) = (login.user, mix(self.seed, id));
        let (seconds, expires) = (now / 1000, now + ACCESS_TTL_MS);
        let scope = if self.get(user).is_some_and(|u| u.staff) { "shop staff" } else { "shop" };
        let claims = format!(
            "{{\"iss\":\"https://api.shop.example\",\"sub\":\"u_{}\",\"sid\":\"{key:016x}\",\"iat\":{seconds},\"exp\":{},\"scope\":\"{scope}\"}}",
            user.number(),
            expires / 1000
        );
        let mut signature = [0u8; 64];
        let mut word = mix(key, seconds as u64);
        for chunk in signature.chunks_mut(8) {
            word = mix(word, 64);
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        let text = format!("{HEADER}.{}.{}", URL_SAFE_NO_PAD.encode(claims), URL_SAFE_NO_PAD.encode(signature));
        let subject = mix(self.seed ^ 0x5b, u64::from(user.0));
        Bearer {
            text: text.into(),
            refresh: self.refresh_token(id, login).into(),
            subject: format!("{subject:016x}{:016x}", mix(subject, 2)).into(),
            user,
            login: id,
            expires,
        }
    }
}

impl Address {
    /// An address as a form fills it.
    pub(super) fn new(label: &str, street: &str, zip: &str, city: &str) -> Self {
        let cut = |text: &str| text.chars().take(200).collect::<String>();
        Self { id: 0, street: cut(street), zip: cut(zip), city: cut(city), label: cut(label) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts::new(7, 500, &mut Chance::new(7, 0))
    }

    #[test]
    fn mail_addresses_lead_back_to_their_accounts() {
        let accounts = accounts();
        for user in (0..500).map(UserId) {
            let identity = accounts.identity(user);
            assert!(identity.email.is_ascii());
            assert_eq!(accounts.of_email(&identity.email), Some(user), "{}", identity.email);
        }
        assert_eq!(accounts.of_email("nobody@mail.example"), None);
        assert_eq!(accounts.of_email("é"), None);
    }

    #[test]
    fn tokens_end_and_are_refreshed_once() {
        let mut accounts = accounts();
        let bearer = accounts.log_in(UserId(20), 0);
        assert_eq!(accounts.who(Some(&bearer), 1), Some(UserId(20)));
        assert_eq!(accounts.who(Some(&bearer), ACCESS_TTL_MS), None);
        let next = accounts.refresh(&bearer.refresh, ACCESS_TTL_MS).unwrap();
        assert_eq!(next.login, bearer.login);
        assert_eq!(accounts.who(Some(&next), ACCESS_TTL_MS + 1), Some(UserId(20)));
        assert!(accounts.refresh(&bearer.refresh, ACCESS_TTL_MS).is_none());
        accounts.log_out(next.login);
        assert_eq!(accounts.who(Some(&next), ACCESS_TTL_MS + 1), None);
    }

    #[test]
    fn tables_are_capped() {
        let mut accounts = accounts();
        while accounts.register().is_some() {}
        assert_eq!(accounts.len(), 1000);
        for n in 0..5_000 {
            accounts.log_in(UserId(n % 500), 0);
        }
        assert!(accounts.logins.len() <= accounts.cap + 1);
        for _ in 0..20 {
            accounts.add_address(UserId(3), &mut Chance::new(1, 1));
        }
        assert_eq!(accounts.get(UserId(3)).unwrap().addresses().len(), 8);
    }
}
