//! Rebuilds when migrations or query metadata change, which are compiled into the binary.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=.sqlx");
}
