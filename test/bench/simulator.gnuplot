# gnuplot -e "svg, worlds, directory, learners": of each world a panel of learning curves from the file directory/curves.WORLD, whose blocks
# are the learners, each followed by its twin, then the two policies that do not learn while they act.
set terminal svg noenhanced size 1200,460 font 'sans,12' background 'white'
set output svg
set multiplot layout 1,words(worlds)
set key bottom right font ',10' spacing 0.9
set xlabel 'thousand recommendations'
set ylabel 'mean return of the greedy policy'
set grid linecolor '#dddddd'
do for [world in worlds] {
	file = directory . '/curves.' . world
	set title world
	plot for [i = 0 : learners - 1] file index 2 * i using ($1 / 1000):2 with lines linewidth 2 linecolor i + 1 title columnheader(1), \
		for [i = 0 : learners - 1] file index 2 * i + 1 using ($1 / 1000):2 with lines dashtype 2 linecolor i + 1 title columnheader(1), \
		file index 2 * learners using ($1 / 1000):2 with lines linecolor 'black' title columnheader(1), \
		file index 2 * learners + 1 using ($1 / 1000):2 with lines dashtype 4 linecolor 'grey40' title columnheader(1)
}
unset multiplot
