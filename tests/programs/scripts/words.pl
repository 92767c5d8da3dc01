# Hashes, sorting, regular expressions, string growth, closures and local data. usage: words.pl FILE [REPEAT]
use strict;
use warnings;
use utf8;
use open qw(:std :utf8);

my ($file, $repeat) = (@ARGV, 1);
for my $round (1 .. $repeat) {
    my (%count, %lines, @all, $joined);
    open my $in, '<', $file or die "$file: $!";
    while (my $line = <$in>) {
        chomp $line;
        push @all, $line;
        $count{lc $_}++ for $line =~ /(\w{3,})/g;
        my ($key) = $line =~ /^\d+ (\S+)/;
        push @{$lines{$key}}, { n => $., words => [split ' ', $line] };
        $joined .= "$key," if $. % 3 == 0;
    }
    close $in;
    my @top = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
    print "$_ $count{$_}\n" for @top[0 .. 40];
    my @sorted = sort { $a->[1] <=> $b->[1] || $a->[0] cmp $b->[0] } map { [$_, length] } @all;
    print "$sorted[$_][0]\n" for 0, 100, 1000, -1;
    (my $changed = join "\n", @all) =~ s/(\w+) (\w+)/$2-$1/g;
    $changed =~ s/([aeiou])\1/<$1>/g;
    print length($changed), " ", scalar(() = $changed =~ /<o>/g), " ", length $joined, "\n";
    my $deep = 0;
    $deep += scalar @{$_->{words}} for map { @$_ } @lines{sort keys %lines};
    print "$deep\n";
    my @closures = map { my $n = $_; sub { $n += length $_[0]; $n } } 1 .. 20000;
    my $sum = 0;
    $sum += $_->("x" x ($sum % 50)) for @closures;
    print "$sum ", unpack('%32C*', pack 'N*', map { $_ * 31 } 1 .. 50000), "\n";
    delete @lines{grep { /7$/ } keys %lines};
    print scalar(keys %lines), "\n";
}
