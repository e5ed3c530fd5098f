(function () {
  'use strict';

  const { data: charts, color, compact, draw, show } = page;
  const light = ['#2563c9', '#d9660a', '#1a8a5a', '#a3359f', '#b2182b', '#0e8a99', '#8a6d0b', '#5b4bc4', '#6b7280', '#c2417c', '#3f7d20', '#7a4a2b'];
  const dark = ['#6ea8ff', '#ffa04d', '#4fc793', '#e07ddc', '#ff6a5b', '#45c7d6', '#d8b945', '#a79bff', '#a4adba', '#ff8fbf', '#8fd46a', '#d09a76'];
  const names = [];
  charts.forEach(chart => chart.series.forEach(s => { if (!names.includes(s.name)) names.push(s.name); }));

  function colorOf(name) {
    const palette = window.matchMedia('(prefers-color-scheme: dark)').matches ? dark : light;
    return palette[names.indexOf(name) % palette.length];
  }

  /** Colours repeat after twelve; then lines are dashed. */
  function dashOf(name) {
    return ['solid', 'dashed', 'dotted'][Math.floor(names.indexOf(name) / light.length) % 3];
  }

  function exact(value) {
    return value === null || value === undefined || value === '-' ? 'none' : String(Number(Number(value).toPrecision(4)));
  }

  function axis(spec, values) {
    const option = { type: spec.log ? 'log' : 'value', scale: true,
      axisLabel: { color: color('muted'), fontSize: 12, formatter: compact, hideOverlap: true },
      nameTextStyle: { color: color('muted'), fontSize: 12 }, name: spec.name,
      axisLine: { lineStyle: { color: color('line') } }, axisTick: { show: false },
      minorSplitLine: { show: false }, splitLine: { lineStyle: { color: color('grid') } } };
    const positive = values.filter(v => v !== null && (!spec.log || v > 0));
    if (positive.length && spec.log) {
      option.min = Math.min(...positive);
      option.max = Math.max(...positive);
    }
    return option;
  }

  /** Lines that the names take beside each other. */
  function legendLines(chart, width) {
    let lines = 1;
    let used = 0;
    chart.series.forEach(s => {
      const needed = 38 + 6.6 * s.name.length;
      if (used > 0 && used + needed > width) {
        lines++;
        used = 0;
      }
      used += needed;
    });
    return lines;
  }

  function frame(legend, lines) {
    return page.frame('', legend, {
      legend: { show: legend, top: 0, left: 0, right: 0, icon: 'roundRect', itemHeight: 3, itemWidth: 18, itemGap: 12,
        padding: [4, 0], textStyle: { color: color('text'), fontSize: 12 } },
      grid: { left: 56, right: 16, top: 34 + 20 * lines, bottom: 44 } });
  }

  function curves(chart, width) {
    const option = frame(true, legendLines(chart, width));
    option.tooltip.valueFormatter = exact;
    option.tooltip.order = 'valueAsc';
    const xs = chart.series.flatMap(s => s.x);
    option.xAxis = Object.assign(axis(chart.x, xs), { nameLocation: 'middle', nameGap: 26, splitLine: { show: false } });
    if (chart.x.log) {
      option.xAxis.logBase = 2;
    } else {
      option.xAxis.min = Math.min(...xs);
      option.xAxis.max = Math.max(...xs);
    }
    const ys = chart.series.flatMap(s => s.y.concat(s.low || [], s.high || []));
    option.yAxis = axis(chart.y, ys);
    const seen = ys.filter(v => v !== null);
    if (!chart.y.log && seen.length) {
      // The band is drawn by hand, so ECharts does not know how far it reaches.
      const margin = 0.04 * (Math.max(...seen) - Math.min(...seen));
      option.yAxis.min = Math.min(...seen) - (Math.min(...seen) === 0 ? 0 : margin);
      option.yAxis.max = Math.max(...seen) + margin;
      option.yAxis.axisLabel.showMinLabel = Math.min(...seen) === 0;
      option.yAxis.axisLabel.showMaxLabel = false;
    }
    if (chart.y.log) {
      option.yAxis.min = Math.pow(10, Math.floor(Math.log10(option.yAxis.min)));
      option.yAxis.max = Math.pow(10, Math.ceil(Math.log10(option.yAxis.max)));
    }
    option.yAxis.nameTextStyle.align = 'left';
    option.yAxis.nameTextStyle.padding = [0, 0, 0, -44];
    option.yAxis.nameGap = 12;
    const ok = v => v !== null && (!chart.y.log || v > 0);
    option.series = [];
    chart.series.forEach(s => {
      const few = s.x.length <= 20;
      option.series.push({ name: s.name, type: 'line', animation: false, showSymbol: few, symbol: 'circle', symbolSize: 6,
        data: s.x.map((x, i) => [x, ok(s.y[i]) ? s.y[i] : '-']),
        lineStyle: { width: 1.8, color: colorOf(s.name), type: dashOf(s.name) }, itemStyle: { color: colorOf(s.name) } });
      if (s.low) {
        const outline = s.x.map((x, i) => [x, s.low[i], s.high[i]]).filter(p => ok(p[1]) && ok(p[2]));
        // One element, a point of the band, so that the axes see nothing new.
        option.series.push({ name: s.name, type: 'custom', silent: true, tooltip: { show: false },
          data: outline.slice(0, 1).map(p => [p[0], p[1]]), z: 1, itemStyle: { color: colorOf(s.name) }, clip: true,
          renderItem: (params, api) => ({ type: 'polygon', silent: true,
            shape: { points: outline.map(p => api.coord([p[0], p[1]])).concat(outline.slice().reverse().map(p => api.coord([p[0], p[2]]))) },
            style: { fill: colorOf(s.name), opacity: 0.13 } }) });
      }
    });
    return option;
  }

  /** A row of dots for each series, its median as a bar. */
  function dots(chart) {
    const option = frame(false, 0);
    const rows = chart.series.map(s => s.name);
    option.grid = { left: 20 + 6.6 * Math.max(...rows.map(name => name.length)), right: 24, top: 10, bottom: 44 };
    option.xAxis = Object.assign(axis(chart.y, chart.series.flatMap(s => s.y)), { nameLocation: 'middle', nameGap: 26 });
    if (chart.y.log) {
      option.xAxis.min /= 1.15;
      option.xAxis.max *= 1.15;
      option.xAxis.axisLabel.showMinLabel = false;
      option.xAxis.axisLabel.showMaxLabel = false;
    }
    option.yAxis = { type: 'category', data: rows, inverse: true, axisTick: { show: false },
      axisLabel: { color: color('text'), fontSize: 12 }, axisLine: { lineStyle: { color: color('line') } } };
    option.tooltip.trigger = 'item';
    option.tooltip.formatter = item => item.seriesName + '<br><b>' + exact(item.value[0]) + '</b>';
    option.series = [];
    chart.series.forEach((s, row) => {
      const values = s.y.filter(v => v !== null);
      const sorted = values.slice().sort((a, b) => a - b);
      const median = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
      option.series.push({ name: s.name, type: 'scatter', symbolSize: 8, animation: false,
        data: values.map(v => [v, row]), itemStyle: { color: colorOf(s.name), opacity: 0.55 } });
      option.series.push({ name: s.name + ', median', type: 'scatter', symbol: 'rect', symbolSize: [3, 22], animation: false,
        data: [[median, row]], itemStyle: { color: color('text') } });
    });
    return option;
  }

  show(() => charts.forEach(chart => {
    const element = document.getElementById(chart.id);
    element.style.height = chart.dots
      ? Math.max(160, 34 * chart.series.length + 60) + 'px'
      : 270 + 20 * legendLines(chart, element.clientWidth) + 'px';
    draw(element, chart.dots ? dots(chart) : curves(chart, element.clientWidth), undefined);
  }));
})();
