(* Maps, hash tables, closures, buffers, exceptions, big arrays in malloc's memory, compaction. *)
module Names = Map.Make (String)

let seed = ref 12345
let draw n = seed := (!seed * 1103515245 + 12345) land 0x3fffffff; (!seed lsr 8) mod n

let () =
  let map = ref Names.empty in
  for i = 1 to 80_000 do
    let name = Printf.sprintf "n%d" (draw 20_000) in
    map := Names.update name (function None -> Some [ i ] | Some l -> Some (i :: l)) !map
  done;
  Printf.printf "%d %d\n" (Names.cardinal !map) (Names.fold (fun _ l n -> max n (List.length l)) !map 0);
  let table = Hashtbl.create 16 in
  Names.iter (fun name l -> Hashtbl.replace table name (fun x -> List.fold_left ( + ) x l)) !map;
  Printf.printf "%d\n" (Hashtbl.fold (fun _ f n -> (f n) land 0xffffff) (Hashtbl.copy table) 0 * 0 + Hashtbl.length table);
  let buffer = Buffer.create 16 in
  Names.iter (fun name l -> Buffer.add_string buffer name; Buffer.add_string buffer (String.make (List.length l) '.')) !map;
  Printf.printf "%s\n" (Digest.to_hex (Digest.string (Buffer.contents buffer)));
  let total = ref 0 in
  for i = 1 to 400 do
    let big = Bigarray.Array1.create Bigarray.int Bigarray.c_layout (i * 100) in
    Bigarray.Array1.fill big i;
    total := !total + big.{i};
    if i mod 50 = 0 then Gc.full_major ()
  done;
  Printf.printf "%d\n" !total;
  let again : int list Names.t = Marshal.from_string (Marshal.to_string !map []) 0 in
  Printf.printf "%b\n" (Names.equal ( = ) again !map);
  Gc.compact ();
  let rec deep n = if n = 0 then raise Not_found else 1 + deep (n - 1) in
  Printf.printf "%s\n" (try string_of_int (deep 50_000) with Not_found -> "caught")
