//! Prints `Hello, World!` and ends with exit code 0.

fn main() {
    println!("Hello, World!");
}
