//! Hashes of names and values: XXH3, 64 bits, stable across builds and machines, so that history and models can hold them.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Hash of bytes.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, 0x57ee_1d0c)
}

/// Hash of text, ASCII case folded.
#[must_use]
pub fn hash_folded(text: &str) -> u64 {
    // Without an early end within a chunk: that runs at memory speed.
    let has_capitals = text.as_bytes().chunks(64).any(|chunk| chunk.iter().fold(false, |any, b| any | b.is_ascii_uppercase()));
    if has_capitals { hash(text.to_ascii_lowercase().as_bytes()) } else { hash(text.as_bytes()) }
}

/// One hash of two.
#[must_use]
pub fn mix(a: u64, b: u64) -> u64 {
    let x = (a ^ b.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^ (x >> 32)
}
