//! Prints the database that a seed makes, to look into a failure: `generate SEED | psql …`.

use backstay_tests::generate::Generated;

fn main() {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok());
    let seed = seed.expect("a seed is given");
    println!("{}", Generated::new(seed).script());
}
