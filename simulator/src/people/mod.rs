//! People and machines that use the shop: who they are, when they come, what they want, how they react.

mod account;
mod browse;
mod buy;
mod client;
mod kiosk;
mod machines;
mod network;
mod old_app;
mod partner;
mod rhythm;
mod shopper;
mod staff;
mod talk;
mod visit;

pub(crate) use account::{addresses, log_in, registration};
pub(crate) use browse::{search, search_with, view};
pub(crate) use buy::{add_to_cart, choose_address, open_checkout, order, pay, see_cart};
pub(crate) use client::{Client, Kind};
pub(crate) use kiosk::Kiosk;
pub(crate) use machines::{Carrier, LoadBalancer, PaymentProvider};
pub(crate) use network::{data_centre, home_of, office, stranger};
pub(crate) use old_app::OldApp;
pub(crate) use partner::{Stamp, Supplier, page as partner_page, signed as partner_signed};
pub(crate) use rhythm::{PEAK, Rhythm, level};
pub(crate) use shopper::{Goal, Shopper, steps_of};
pub(crate) use staff::Staff;
pub(crate) use visit::{Outcome, Scene, Script, Sent, Step, Visit};
