# gnuplot -e "directory='...'; data='ml_100k ml_1m'; declared='0.2'": draws DATA.front and DATA.points, which claim.py makes, as SVG
set terminal svg size 1000, 420 * words(data) noenhanced font 'sans,12' background 'white'
set multiplot layout words(data), 2
set grid lc rgb '#dddddd'
set key off
set xlabel 'recall@10'
title(name) = name eq 'ml_100k' ? 'ML-100K' : name eq 'ml_1m' ? 'ML-1M' : 'ML-100K, cut at one time'
do for [name in data] {
	front = sprintf('%s/%s.front', directory, name)
	points = sprintf('%s/%s.points', directory, name)
	chosen = sprintf('< grep "^%s " %s', declared, front)
	do for [column = 3:4] {
		set title title(name).(column == 3 ? ': catalogue coverage' : ': novelty in bits')
		set ylabel (column == 3 ? 'coverage@10' : 'novelty@10')
		set offsets graph 0.05, graph 0.2, graph 0.08, graph 0.08
		plot front using 2:column with linespoints lc rgb '#0060ad' pt 7 ps 0.5, \
			front using 2:column:1 with labels left offset 0.4,0.7 tc rgb '#0060ad' font ',10', \
			chosen using 2:column with points lc rgb '#0060ad' pt 6 ps 2, \
			points using 2:column with points lc rgb '#aa3300' pt 5 ps 0.7, \
			points using 2:column:1 with labels left offset 0.8,0 tc rgb '#aa3300'
	}
}
unset multiplot
