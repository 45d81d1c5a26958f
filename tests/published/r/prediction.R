source("common.R")
suppressMessages({library(pROC); library(Hmisc); library(survival)})
set.seed(11)

n <- 150
x1 <- round(rnorm(n), 2); x2 <- round(rnorm(n), 1)
y <- rbinom(n, 1, plogis(-.5 + .8 * x1 + .6 * x2)); level <- pmin(4, pmax(0, round(2 + .8 * x1 + .4 * x2 + rnorm(n))))
old <- fitted(glm(y ~ x1, binomial)); new <- fitted(glm(y ~ x1 + x2, binomial))
risk <- plogis(.3 + 1.4 * qlogis(new))

one <- roc(y, x1, direction = "<", quiet = TRUE); two <- roc(y, x2, direction = "<", quiet = TRUE)
test <- roc.test(one, two, method = "delong", paired = TRUE)
best <- coords(one, "best", best.method = "youden", transpose = FALSE)
i <- improveProb(old, new, y)
tight <- glm.control(epsilon = 1e-14)
slope <- glm(y ~ qlogis(risk), binomial, control = tight)
large <- glm(y ~ 1, binomial, offset = qlogis(risk), control = tight)
c1 <- concordance(level ~ x1); d1 <- concordance(level ~ x1, influence = 1); d2 <- concordance(level ~ x2, influence = 1)

write_cases(list(
  data = list(y = y, level = level, x1 = x1, x2 = x2, old = unname(old), new = unname(new), risk = unname(risk)),
  auc = list(auc = as.numeric(one$auc), ci = as.numeric(ci.auc(one, method = "delong"))),
  comparison = list(z = unname(test$statistic), p = test$p.value, ci = as.numeric(test$conf.int)),
  youden = list(cutoff = max(best$threshold), sensitivity = best$sensitivity[1], specificity = best$specificity[1]),
  wilson = as.numeric(prop.test(17, 23, correct = FALSE)$conf.int),
  improve = list(nri = i$nri, se = i$se.nri, z = i$z.nri, events = i$nri.ev, se_events = i$se.nri.ev,
                 others = i$nri.ne, se_others = i$se.nri.ne, idi = i$idi, se_idi = i$se.idi, z_idi = i$z.idi),
  calibration = list(slope = unname(coef(slope)[2]), slope_se = unname(sqrt(diag(vcov(slope)))[2]),
                     intercept = unname(coef(large)), intercept_se = unname(sqrt(diag(vcov(large)))),
                     brier = mean((y - risk)^2)),
  concordance = list(c = unname(c1$concordance), se = sqrt(c1$var)[1],
                     difference = unname(d1$concordance - d2$concordance),
                     se_difference = sqrt(sum((d1$dfbeta - d2$dfbeta)^2)))), "prediction")
