(function () {
  'use strict';

  const data = JSON.parse(document.getElementById('data').textContent);
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

  function points(name) {
    const curve = data.curves[name];
    return curve.steps.map((step, i) => [step, curve.values[i]]);
  }

  function line(label, name, colorName, extra) {
    return Object.assign({
      name: label, type: 'line', data: points(name), showSymbol: false, animation: false,
      lineStyle: { width: 1.5, color: color(colorName) }, itemStyle: { color: color(colorName) },
      emphasis: { disabled: true }
    }, extra);
  }

  /** Everything but the series; all of these charts share the axis of steps. */
  function frame(yName, legend, extra) {
    const muted = color('muted');
    const axisText = { color: muted, fontSize: 12 };
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
      xAxis: { type: 'value', min: data.firstStep, max: Math.max(data.lastStep, data.firstStep + 1),
        minInterval: 1, axisLabel: Object.assign({ formatter: compact, hideOverlap: true }, axisText),
        axisPointer: { label: { formatter: p => 'step ' + Math.round(p.value) } },
        axisLine: { lineStyle: { color: color('line') } }, axisTick: { show: false },
        splitLine: { show: false } },
      yAxis: { type: 'value', scale: true, name: yName,
        nameTextStyle: { color: muted, fontSize: 12, align: 'left', padding: [0, 0, 0, -46] },
        axisLabel: Object.assign({ formatter: compact }, axisText),
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

  function drawLoss() {
    const option = frame(data.lossUnit, true, {
      dataZoom: [
        { type: 'inside', zoomOnMouseWheel: 'ctrl' },
        { type: 'slider', height: 18, bottom: 8, borderColor: color('line'), brushSelect: false,
          textStyle: { color: color('muted') }, labelFormatter: value => compact(Math.round(value)),
          dataBackground: { lineStyle: { opacity: 0 }, areaStyle: { opacity: 0 } },
          selectedDataBackground: { lineStyle: { opacity: 0 }, areaStyle: { opacity: 0 } } }
      ]
    });
    option.grid.bottom = 64;
    const few = data.curves.validation.steps.length <= 60;
    option.series = [
      line('training', 'loss', 'pale', { lineStyle: { width: 1, color: color('pale') } }),
      line('training, smoothed', 'smooth', 'blue', { lineStyle: { width: 2, color: color('blue') } }),
      line('validation', 'validation', 'orange', { showSymbol: few, symbol: 'circle', symbolSize: 7 })
    ];
    draw(document.getElementById('loss'), option, 'loss');
  }

  function drawSmall(id, series, extra) {
    const option = frame('', series.length > 1, extra);
    option.series = series;
    draw(document.getElementById(id), option, 'small');
  }

  function drawLoad(shares, layer) {
    const experts = shares[0].length;
    const card = document.createElement('div');
    card.className = 'card';
    const heading = document.createElement('h3');
    heading.textContent = 'MoE layer ' + layer;
    const small = document.createElement('small');
    small.textContent = ' ' + experts + ' experts';
    heading.appendChild(small);
    const element = document.createElement('div');
    element.className = 'chart';
    element.style.height = Math.min(420, Math.max(120, 24 * experts)) + 46 + 'px';
    card.append(heading, element);
    document.getElementById('load').appendChild(card);

    const width = data.load.width;
    const firstOf = bucket => data.load.firstStep + bucket * width;
    const cells = [];
    shares.forEach((row, bucket) => row.forEach((share, expert) =>
      cells.push([bucket, expert, share === null ? '-' : share])));
    const option = frame('', false, {
      xAxis: { type: 'category', data: shares.map((row, bucket) => firstOf(bucket)),
        axisLabel: { color: color('muted'), formatter: step => compact(Number(step)),
          interval: Math.ceil(shares.length / 7) - 1 },
        axisLine: { show: false }, axisTick: { show: false } },
      yAxis: { type: 'category', inverse: true, data: shares[0].map((share, expert) => expert),
        name: 'expert', nameLocation: 'middle', nameGap: 34, nameTextStyle: { color: color('muted') },
        axisLabel: { color: color('muted') }, axisLine: { show: false }, axisTick: { show: false } },
      visualMap: { show: false, min: 0, max: 2, calculable: false,
        inRange: { color: [color('low'), color('even'), color('high')] } },
      series: [{ type: 'heatmap', data: cells, animation: false, progressive: 0,
        emphasis: { itemStyle: { borderColor: color('text'), borderWidth: 1 } } }]
    });
    option.grid = { left: 52, right: 8, top: 8, bottom: 28 };
    option.tooltip.trigger = 'item';
    option.tooltip.formatter = item => {
      const [bucket, expert, share] = item.value;
      const last = Math.min(firstOf(bucket) + width - 1, data.lastStep);
      const steps = width === 1 ? 'step ' + firstOf(bucket) : 'steps ' + firstOf(bucket) + ' to ' + last;
      const load = share === '-' ? 'no tokens' : share + ' \u00d7 an even share';
      return 'expert ' + expert + ', ' + steps + '<br><b>' + load + '</b>';
    };
    draw(element, option, undefined);
  }

  function drawAll() {
    charts.splice(0).forEach(chart => chart.dispose());
    document.getElementById('load').replaceChildren();
    drawLoss();
    drawSmall('lr', [line('learning rate', 'lr', 'blue')]);
    drawSmall('grad_norm', [line('gradient norm', 'grad_norm', 'blue')]);
    drawSmall('tokens_per_s', [line('tokens/s', 'tokens_per_s', 'blue')]);
    drawSmall('imbalance', [line('imbalance', 'imbalance', 'blue')]);
    drawSmall('tokens', [line('dropped', 'dropped', 'orange'), line('with a choice of experts', 'alive', 'green')]);
    drawSmall('auxiliary', [line('balance', 'balance', 'blue'), line('z', 'z', 'green')]);
    data.load.layers.forEach((shares, layer) => { if (shares[0].length > 0) drawLoad(shares, layer); });
    echarts.connect('small');
  }

  drawAll();
  window.addEventListener('resize', () => charts.forEach(chart => chart.resize()));
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
})();
