//! Personal data and secrets in fields that never carry them.

use super::disguise::{Cast, Rounds, by_hand};
use super::injection::{Place, plant};
use crate::chance::Chance;
use crate::wire::Call;

/// A card number with a right check digit.
fn card_number(chance: &mut Chance) -> String {
    let mut digits: Vec<u32> = chance.pick(&["4", "51", "37"]).chars().filter_map(|c| c.to_digit(10)).collect();
    let length = if digits[0] == 3 { 15 } else { 16 };
    while digits.len() < length - 1 {
        digits.push(chance.below(10) as u32);
    }
    let sum: u32 = digits.iter().rev().enumerate().map(|(i, d)| if i % 2 == 0 { d * 2 / 10 + d * 2 % 10 } else { *d }).sum();
    digits.push((10 - sum % 10) % 10);
    let text: String = digits.iter().filter_map(|d| char::from_digit(*d, 10)).collect();
    if chance.hit(0.5) { text } else { format!("{} {} {} {}", &text[..4], &text[4..8], &text[8..12], &text[12..]) }
}

/// A German account number with right check digits.
fn iban(chance: &mut Chance) -> String {
    let account: String = (0..18).map(|_| char::from(b'0' + chance.below(10) as u8)).collect();
    // D = 13, E = 14; two zeros in the place of the check digits.
    let rest = format!("{account}131400").bytes().fold(0u32, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
    format!("DE{:02}{account}", 98 - rest)
}

/// A card number in a review, a message, an address, a nickname.
pub(super) fn card(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(1, 3) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, client, scene, _| {
        let place = scene.chance.pick(&[Place::ReviewText, Place::MessageText, Place::Street, Place::Nickname, Place::Coupon]);
        let number = card_number(scene.chance);
        let text = if scene.chance.hit(0.4) { format!("my card {number} exp 09/27") } else { number };
        let call = plant(client, scene, place, &text);
        vec![by_hand(family, scene, call)]
    }));
}

/// Mail addresses, telephone numbers and account numbers in the search box, whose words stand in every log.
pub(super) fn search(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(1, 4) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, _, scene, _| {
        let user = scene.shop.accounts.anybody(scene.chance);
        let identity = scene.shop.accounts.identity(user);
        let words = match scene.chance.below(4) {
            0 => iban(scene.chance),
            1 => identity.phone,
            _ => identity.email,
        };
        vec![by_hand(family, scene, Call::get("/v2/products").with("q", &words))]
    }));
}

/// Tokens and keys in queries and texts.
pub(super) fn secret(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(1, 3) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, client, scene, _| {
        let token = client.bearer.as_ref().map_or_else(|| scene.chance.base62(64), |b| b.text.to_string());
        let secret = match scene.chance.below(4) {
            0 => format!("AKIA{}", scene.chance.token(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
            1 => format!(
                "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC{}\n-----END PRIVATE KEY-----",
                scene.chance.base62(60)
            ),
            _ => token.clone(),
        };
        let call = match scene.chance.below(3) {
            0 => Call::get("/v2/orders").with("access_token", &token),
            1 => plant(client, scene, Place::MessageText, &secret),
            _ => plant(client, scene, Place::ReviewText, &secret),
        };
        vec![by_hand(family, scene, call)]
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_pass_the_check_of_luhn() {
        let mut chance = Chance::new(5, 0);
        for _ in 0..200 {
            let digits: Vec<u32> = card_number(&mut chance).chars().filter_map(|c| c.to_digit(10)).collect();
            let sum: u32 = digits.iter().rev().enumerate().map(|(i, d)| if i % 2 == 1 { d * 2 / 10 + d * 2 % 10 } else { *d }).sum();
            assert_eq!(sum % 10, 0, "{digits:?}");
        }
    }

    #[test]
    fn account_numbers_pass_the_check_of_97() {
        let mut chance = Chance::new(6, 0);
        for _ in 0..200 {
            let iban = iban(&mut chance);
            let moved = format!("{}1314{}", &iban[4..], &iban[2..4]);
            assert_eq!(moved.bytes().fold(0u32, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97), 1, "{iban}");
        }
    }
}
