/** What the charts of all pages share. */
const page = (function () {
  'use strict';

  const charts = [];

  /** Reads the colours of the style sheet, so that light and dark are decided in one place. */
  function color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
  }

  /** Three digits, with k, M or G where the number is long. */
  function compact(value) {
    const size = Math.abs(value);
    if (size >= 1e9) return trim(value / 1e9) + 'G';
    if (size >= 1e6) return trim(value / 1e6) + 'M';
    if (size >= 1e4) return trim(value / 1e3) + 'k';
    return size !== 0 && size < 1e-3 ? value.toExponential(1) : trim(value);
  }

  function trim(value) {
    return String(Number(value.toPrecision(4)));
  }

  function exact(value) {
    return value === null || value === undefined ? 'not finite' : String(value);
  }

  function axisText() {
    return { color: color('muted'), fontSize: 12 };
  }

  /** Everything but the series and the x axis. */
  function frame(yName, legend, extra) {
    const muted = color('muted');
    return Object.assign({
      animation: false,
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
      grid: { left: 58, right: 20, top: legend || yName ? 40 : 16, bottom: 30 },
      legend: { show: legend, top: 0, right: 12, icon: 'roundRect', itemHeight: 3, itemWidth: 18,
        textStyle: { color: color('text') } },
      tooltip: { trigger: 'axis', confine: true, transitionDuration: 0,
        backgroundColor: color('card'), borderColor: color('line'),
        textStyle: { color: color('text'), fontSize: 13 }, valueFormatter: exact,
        axisPointer: { lineStyle: { color: muted } } },
      yAxis: { type: 'value', scale: true, name: yName,
        nameTextStyle: { color: muted, fontSize: 12, align: 'left', padding: [0, 0, 0, -46] },
        axisLabel: Object.assign({ formatter: compact }, axisText()),
        axisLine: { show: false }, axisTick: { show: false },
        splitLine: { lineStyle: { color: color('grid') } } }
    }, extra);
  }

  function draw(element, option, group) {
    const chart = echarts.init(element);
    chart.group = group;
    chart.setOption(option);
    charts.push(chart);
  }

  /** A card with a heading and room for a chart, at the end of a container. */
  function card(container, heading, note, height) {
    const card = document.createElement('div');
    card.className = 'card';
    const title = document.createElement('h3');
    title.textContent = heading;
    const small = document.createElement('small');
    small.textContent = ' ' + note;
    title.appendChild(small);
    const element = document.createElement('div');
    element.className = 'chart';
    element.style.height = height + 'px';
    card.append(title, element);
    container.appendChild(card);
    return element;
  }

  /** Loads over time, 1 being even: cells are [column, row, load]. */
  function heatMap(columns, rows, cells, rowName, columnLabel, tooltip) {
    const option = frame('', false, {
      xAxis: { type: 'category', data: columns,
        axisLabel: { color: color('muted'), formatter: columnLabel,
          interval: Math.max(0, Math.ceil(columns.length / 7) - 1) },
        axisLine: { show: false }, axisTick: { show: false } },
      yAxis: { type: 'category', inverse: true, data: rows,
        name: rowName, nameLocation: 'middle', nameGap: 34, nameTextStyle: { color: color('muted') },
        axisLabel: { color: color('muted') }, axisLine: { show: false }, axisTick: { show: false } },
      visualMap: { show: false, min: 0, max: 2, calculable: false,
        inRange: { color: [color('low'), color('even'), color('high')] } },
      series: [{ type: 'heatmap', data: cells, animation: false, progressive: 0,
        emphasis: { itemStyle: { borderColor: color('text'), borderWidth: 1 } } }]
    });
    option.grid = { left: 52, right: 8, top: 8, bottom: 28 };
    option.tooltip.trigger = 'item';
    option.tooltip.formatter = tooltip;
    return option;
  }

  /** Draws now, and again when light turns dark. */
  function show(drawAll) {
    const again = () => {
      charts.splice(0).forEach(chart => chart.dispose());
      drawAll();
    };
    again();
    window.addEventListener('resize', () => charts.forEach(chart => chart.resize()));
    window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', again);
  }

  return {
    data: JSON.parse(document.getElementById('data').textContent),
    color, compact, axisText, frame, draw, card, heatMap, show
  };
})();
