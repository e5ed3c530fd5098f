(function () {
  'use strict';

  const { data, color, compact, draw } = page;

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
    return page.frame(yName, legend, Object.assign({
      xAxis: { type: 'value', min: data.firstStep, max: Math.max(data.lastStep, data.firstStep + 1),
        minInterval: 1, axisLabel: Object.assign({ formatter: compact, hideOverlap: true }, page.axisText()),
        axisPointer: { label: { formatter: p => 'step ' + Math.round(p.value) } },
        axisLine: { lineStyle: { color: color('line') } }, axisTick: { show: false },
        splitLine: { show: false } }
    }, extra));
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
    const element = page.card(document.getElementById('load'), 'MoE layer ' + layer,
      experts + ' experts', Math.min(420, Math.max(120, 24 * experts)) + 46);
    const width = data.load.width;
    const firstOf = bucket => data.load.firstStep + bucket * width;
    const cells = [];
    shares.forEach((row, bucket) => row.forEach((share, expert) =>
      cells.push([bucket, expert, share === null ? '-' : share])));
    const tooltip = item => {
      const [bucket, expert, share] = item.value;
      const last = Math.min(firstOf(bucket) + width - 1, data.lastStep);
      const steps = width === 1 ? 'step ' + firstOf(bucket) : 'steps ' + firstOf(bucket) + ' to ' + last;
      const load = share === '-' ? 'no tokens' : share + ' \u00d7 an even share';
      return 'expert ' + expert + ', ' + steps + '<br><b>' + load + '</b>';
    };
    draw(element, page.heatMap(shares.map((row, bucket) => firstOf(bucket)),
      shares[0].map((share, expert) => expert), cells, 'expert', step => compact(Number(step)), tooltip));
  }

  function drawAll() {
    document.getElementById('load').replaceChildren();
    drawLoss();
    drawSmall('lr', [line('learning rate', 'lr', 'blue')]);
    drawSmall('grad_norm', [line('gradient norm', 'grad_norm', 'blue')]);
    drawSmall('tokens_per_s', [line('tokens/s', 'tokens_per_s', 'blue')]);
    drawSmall('imbalance', [line('imbalance', 'imbalance', 'blue')]);
    drawSmall('tokens', [line('dropped', 'dropped', 'orange'), line('with a choice of experts', 'alive', 'green')]);
    drawSmall('auxiliary', [line('balance', 'balance', 'blue'), line('z', 'z', 'green'),
      line('penalty', 'penalty', 'orange')]);
    data.load.layers.forEach((shares, layer) => { if (shares[0].length > 0) drawLoad(shares, layer); });
    echarts.connect('small');
  }

  page.show(drawAll);
})();
