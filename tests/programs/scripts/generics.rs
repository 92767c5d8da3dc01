// Maps, strings, generics, trait objects, threads, channels, panics that unwind.
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;

trait Shape: Debug + Send { fn area(&self) -> f64; fn name(&self) -> String { format!("{:?}", self) } }
#[derive(Debug, Clone)] struct Square(f64);
#[derive(Debug, Clone)] struct Circle { radius: f64, label: String }
impl Shape for Square { fn area(&self) -> f64 { self.0 * self.0 } }
impl Shape for Circle { fn area(&self) -> f64 { self.radius * self.radius * 3.0 } }

struct Draw(u32);
impl Draw {
    fn next(&mut self, n: u32) -> u32 { self.0 = self.0.wrapping_mul(1103515245).wrapping_add(12345); (self.0 >> 8) % n }
}

fn group<K: Ord + Clone, V>(all: Vec<V>, key: impl Fn(&V) -> K) -> BTreeMap<K, Vec<V>> {
    let mut map = BTreeMap::new();
    for v in all { map.entry(key(&v)).or_insert_with(Vec::new).push(v); }
    map
}

#[repr(align(128))] struct Wide([u8; 128]);

fn main() {
    let mut draw = Draw(12345);
    let rows: Vec<(u32, String)> = (0..100_000).map(|i| (i, format!("n{}", draw.next(20_000)))).collect();
    let by = group(rows, |r| r.1.clone());
    println!("{} {:?}", by.len(), by.iter().max_by_key(|e| e.1.len()).map(|e| e.1.len()));
    let shapes: Vec<Box<dyn Shape>> = (0..50_000).map(|i| -> Box<dyn Shape> {
        if i % 2 == 0 { Box::new(Square(i as f64)) } else { Box::new(Circle { radius: i as f64, label: "c".repeat(i % 70) }) }
    }).collect();
    println!("{} {}", shapes.iter().map(|s| s.area()).sum::<f64>(), shapes.iter().map(|s| s.name().len()).sum::<usize>());
    let (send, receive) = mpsc::channel();
    let seen = Arc::new(Mutex::new(HashMap::new()));
    let threads: Vec<_> = (0..4u32).map(|t| {
        let (send, seen) = (send.clone(), seen.clone());
        thread::spawn(move || for i in 0..5000u32 {
            send.send(vec![t as u8; (i % 300) as usize]).unwrap();
            *seen.lock().unwrap().entry(i % 97).or_insert(0) += i;
        })
    }).collect();
    drop(send);
    println!("{}", receive.iter().map(|v| v.len()).sum::<usize>());
    for t in threads { t.join().unwrap(); }
    println!("{}", seen.lock().unwrap().values().sum::<u32>());
    let wide: Vec<Box<Wide>> = (0..1000).map(|i| Box::new(Wide([i as u8; 128]))).collect();
    println!("{} {}", wide.iter().all(|w| (&**w as *const Wide as usize) % 128 == 0), wide[999].0[5]);
    let caught = thread::spawn(|| { let v: Vec<String> = vec!["kept".into()]; if v.len() == 1 { std::panic::panic_any(v) } }).join();
    println!("{:?}", caught.unwrap_err().downcast::<Vec<String>>().unwrap());
}
