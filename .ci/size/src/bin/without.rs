//! A program that talks to a socket, as the one with the client does.

use std::io::{Read, Write};
use std::net::TcpStream;

fn main() -> std::io::Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_default();
    let mut stream = TcpStream::connect(addr)?;
    stream.write_all(b"hello")?;
    let answering = std::thread::spawn(move || {
        let mut answer = [0; 64];
        stream.read(&mut answer).map(|count| answer[..count].to_vec())
    });
    match answering.join() {
        Ok(answer) => println!("{:?}", answer?),
        Err(_) => println!("no answer"),
    }
    Ok(())
}
