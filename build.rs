//! Rebuilds when migrations, database functions or query metadata change, which are compiled into the binary.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=db/functions");
    println!("cargo:rerun-if-changed=.sqlx");
}
