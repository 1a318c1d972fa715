//! `golden NAME` writes a new golden repository to `assets/golden/NAME`.

fn main() {
    let name = std::env::args().nth(1).expect("the new folder's name");
    backstay_tests::golden::write(&name);
}
