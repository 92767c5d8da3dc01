# Arrays, associative arrays, expansions, here documents, subshells and traps. usage: words.sh FILE
set -e
declare -A count
declare -a lines
n=0
while read -r number key rest; do
    count[$key]=$((${count[$key]:-0} + number % 10))
    lines+=("${rest^^}/${key//[0-4]/_}")
    n=$((n + 1))
    ((n < 6000)) || break
done <"$1"
for key in "${!count[@]}"; do
    echo "$key ${count[$key]}"
done | sort | head -200
long=
for ((i = 0; i < 2500; i++)); do
    long+=${lines[i]:0:7}:$i,
done
echo ${#long} "${long:1000:50}" "${long:0:4000}" "${lines[*]//[A-M]/}" | cksum
printf '%s\n' "${lines[@]:100:20}"
walk() {
    local depth=$1 name=$2
    ((depth == 0)) && return
    printf '%*s%s\n' "$depth" '' "$name"
    walk $((depth - 1)) "$name.$depth"
}
walk 150 root | cksum
for i in {1..60}; do
    (
        local_copy=("${lines[@]:i:50}")
        trap 'echo bye $i' EXIT
        [[ ${local_copy[3]} =~ ([A-Z]+).*/([a-z_]*) ]] && echo "${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"
    )
done
cat <<END | tr a-z A-Z
$(for i in {1..500}; do echo "line $i ${lines[i]}"; done)
END
mapfile -t back < <(printf '%s\n' "${lines[@]}" | sort -u)
echo ${#back[@]}
