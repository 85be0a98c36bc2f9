# Waits at a pipe for the process that owns a private PostgreSQL server, and
# clears up after it if it ends without a word: killed, or panicking in a test.
# $1 is the server's private directory.

if read -r word && [ "$word" = done ]; then
	exit 0 # Stop has done it all
fi

dir=$1

# signal SIGNAL: send it to every process of the server, which are those that
# work in its directory; fails if there are none.
signal() {
	found=1
	for link in /proc/[0-9]*/cwd; do
		case $(readlink "$link" 2>/dev/null) in
		"$dir" | "$dir"/*)
			pid=${link#/proc/}
			kill -s "$1" "${pid%/cwd}" 2>/dev/null && found=0
			;;
		esac
	done
	return $found
}

signal QUIT # immediate shutdown
signal CONT # also if it was paused
tries=0
while signal 0 && [ $tries -lt 50 ]; do
	tries=$((tries + 1))
	sleep 0.1
done
while signal KILL; do
	sleep 0.1
done

# A server that was killed leaves a shared memory segment; line 7 is its key
# and its number.
if [ -f "$dir/data/postmaster.pid" ]; then
	segment=$(sed -n '7s/.* //p' "$dir/data/postmaster.pid")
	[ -n "$segment" ] && ipcrm -m "$segment" 2>/dev/null
fi
rm -rf "$dir"
