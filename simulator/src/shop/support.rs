//! Messages between customers and the shop.

use super::Shop;
use super::ask::{Ask, Handed, Reply};
use crate::ids::Uuid;
use crate::json::Json;
use engine::time::rfc3339;

const THREADS: usize = 4;
const MAX_TEXT: usize = 4_000;

/// A conversation.
#[derive(Debug, Clone)]
pub(super) struct Thread {
    id: Uuid,
    subject: String,
    /// First and latest message.
    first: String,
    latest: String,
    messages: u32,
    opened: i64,
}

impl Thread {
    fn brief(&self, j: &mut Json) {
        j.show("id", self.id).str("subject", &self.subject).int("messages", self.messages).str("opened_at", &rfc3339(self.opened));
        j.str("state", if self.messages > 2 { "answered" } else { "open" });
    }

    fn full(&self, j: &mut Json) {
        self.brief(j);
        j.list("entries", [("customer", &self.first), ("customer", &self.latest)], |j, (from, text)| {
            j.str("from", from).str("text", text).str("at", &rfc3339(self.opened));
        });
    }
}

/// `GET /v2/messages`.
pub(super) fn list(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let threads = ask.user.and_then(|u| shop.accounts.get(u)).map_or(&[][..], |u| &u.threads);
    Reply::object(|j| {
        j.list("items", threads, |j, t| t.brief(j));
        j.int("total", threads.len() as i64);
    })
    .hand(threads.iter().map(|t| Handed::Thread(t.id)))
}

/// `POST /v2/messages`.
pub(super) fn open(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let (subject, text) = (ask.text("subject"), ask.text("text"));
    if subject.trim().is_empty() {
        return Reply::invalid("subject", "must not be blank");
    }
    if text.trim().is_empty() || text.len() > MAX_TEXT {
        return Reply::invalid("text", "must have 1 to 4000 characters");
    }
    let id = shop.chance.uuid();
    let thread = Thread {
        id,
        subject: subject.chars().take(120).collect(),
        first: text.to_owned(),
        latest: text.to_owned(),
        messages: 1,
        opened: ask.now,
    };
    let Some(account) = ask.user.and_then(|u| shop.accounts.get_mut(u)) else { return Reply::forbidden() };
    if account.threads.len() >= THREADS {
        account.threads.remove(0);
    }
    account.unread = account.unread.saturating_add(1);
    let reply = Reply::created(|j| thread.full(j)).hand([Handed::Thread(id)]);
    account.threads.push(thread);
    reply
}

/// `GET /v2/messages/{id}`.
pub(super) fn show(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let id = ask.uuid(0);
    let threads = ask.user.and_then(|u| shop.accounts.get(u)).map_or(&[][..], |u| &u.threads);
    match threads.iter().find(|t| Some(t.id) == id) {
        Some(thread) => Reply::object(|j| thread.full(j)),
        None => Reply::missing("Conversation"),
    }
}

/// `POST /v2/messages/{id}/replies`.
pub(super) fn reply(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let text = ask.text("text");
    if text.trim().is_empty() || text.len() > MAX_TEXT {
        return Reply::invalid("text", "must have 1 to 4000 characters");
    }
    let id = ask.uuid(0);
    let thread = ask.user.and_then(|u| shop.accounts.get_mut(u)).and_then(|u| u.threads.iter_mut().find(|t| Some(t.id) == id));
    match thread {
        Some(thread) => {
            thread.latest = text.to_owned();
            thread.messages += 1;
            Reply::created(|j| thread.full(j))
        }
        None => Reply::missing("Conversation"),
    }
}
